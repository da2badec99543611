// SPDX-License-Identifier: Apache-2.0
// 2000 compiles, half of them failing: resident memory settles. The source is small, because what
// is looked for is what a compile leaves behind, not what it needs.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "runtime/compile_worker.h"
#include "runtime/nvrtc_library.h"
#include "tests/nvrtc/nvrtc_fixture.h"

namespace rmsjit {
namespace {

constexpr int kCompiles = 2000;
constexpr double kAllowedMiB = 24;

double resident_mib(pid_t process) {
  std::ifstream in("/proc/" + std::to_string(process) + "/statm");
  double pages = 0, resident = 0;
  in >> pages >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

CompileJob small_job(bool good) {
  const std::string body = good ? "p[0] = p[1];" : "p[0] = nothing;";
  return {"small",
          "sm_90",
          {"-arch=sm_90", "--no-cache", "-modify-stack-limit=false", "-minimal"},
          {{"small.cu", "extern \"C\" __global__ void k(float* p) { " + body + " }"}}};
}

// Resident memory after a tenth of the compiles and after all of them.
template <class CompileOne>
void expect_settled(pid_t process, const CompileOne& compile_one) {
  double settled = 0;
  for (int i = 0; i < kCompiles; ++i) {
    ASSERT_EQ(compile_one(small_job(i % 2 == 0)), i % 2 == 0) << i;
    if (i == kCompiles / 10) settled = resident_mib(process);
  }
  const double in_the_end = resident_mib(process);
  printf("resident: %.1f MiB after a tenth, %.1f MiB in the end\n", settled, in_the_end);
  EXPECT_LT(in_the_end, settled + kAllowedMiB);
}

class Memory : public NvrtcTest {};

TEST_F(Memory, OfThisProcessSettles) {
  const auto library = NvrtcLibrary::open({real_options().nvrtc, false, ""});
  ASSERT_TRUE(library.ok()) << library.message();
  expect_settled(getpid(), [&](const CompileJob& job) { return (*library)->compile(job).ok(); });
}

TEST_F(Memory, OfAWorkerSettles) {
  const auto worker = CompileWorker::start(RMSJIT_TEST_WORKER, {identity_.path, false, ""});
  ASSERT_TRUE(worker.ok()) << worker.message();
  expect_settled((*worker)->process(),
                 [&](const CompileJob& job) { return (*worker)->compile(job, 60000).ok(); });
}

}  // namespace
}  // namespace rmsjit
