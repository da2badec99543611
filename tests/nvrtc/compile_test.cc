// SPDX-License-Identifier: Apache-2.0
// What a compile promises beyond success: equal bytes wherever and however often, PTX, the log, and
// numbers that agree with what ptxas itself says.
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <thread>

#include "runtime/compile_job.h"
#include "runtime/cubin_info.h"
#include "runtime/nvrtc_library.h"
#include "tests/nvrtc/nvrtc_fixture.h"
#include "tests/runtime/host_state.h"

namespace rmsjit {
namespace {

class Compile : public NvrtcTest {};

constexpr const char* kSpec = "hidden=1024,residual=add,pdl=auto";

std::string compile_or_fail(Compiler& compiler, const CompileRequest& request) {
  const auto image = compiler.compile(request);
  EXPECT_TRUE(image.ok()) << image.message();
  return image.ok() ? image->image : "";
}

// A folder whose files have the names of the template's; none of them may be read.
std::string folder_with_traps() {
  std::string path = ::testing::TempDir() + "rmsjit_traps_XXXXXX";
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  for (const char* name : {"spec.cuh", "rmsnorm.cuh", "device.cuh", "rmsnorm_params.h",
                           "__nv_nvrtc_builtin_header.h"}) {
    std::ofstream(path + "/" + name) << "#error this file must not be read\n";
  }
  return path;
}

TEST_F(Compile, TheSameBytesOnRepeatInAnotherFolderAndInAWorker) {
  const CompileRequest request = request_for(kSpec, "sm_90");
  const auto inside = make_inprocess_compiler(real_options());
  const std::string first = compile_or_fail(*inside, request);
  EXPECT_TRUE(compile_or_fail(*inside, request) == first);
  EXPECT_TRUE(compile_or_fail(*make_worker_compiler(real_options()), request) == first);
  char before[4096];
  ASSERT_NE(getcwd(before, sizeof before), nullptr);
  ASSERT_EQ(chdir(folder_with_traps().c_str()), 0);
  EXPECT_TRUE(compile_or_fail(*inside, request) == first);
  ASSERT_EQ(chdir(before), 0);
}

TEST_F(Compile, TheSameBytesFromManyThreadsAtOnce) {
  const CompileRequest request = request_for("hidden=512", "sm_80");
  const auto compiler = make_inprocess_compiler(real_options());
  const std::string first = compile_or_fail(*compiler, request);
  std::vector<std::string> images(6);
  std::vector<std::thread> threads;
  for (std::string& image : images) {
    threads.emplace_back([&] { image = compile_or_fail(*compiler, request); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& image : images) EXPECT_TRUE(image == first);
}

TEST_F(Compile, NamesItsToolchain) {
  const auto image = make_inprocess_compiler(real_options())->compile(request_for(kSpec, "sm_90"));
  ASSERT_TRUE(image.ok()) << image.message();
  const std::string version =
      std::to_string(identity_.major) + "." + std::to_string(identity_.minor);
  EXPECT_EQ(image->nvrtc_version, version);
  const bool named = identity_.major >= 13;  // CUDA 12 writes no such note
  EXPECT_EQ(image->nvrtc_build.substr(0, image->nvrtc_build.find(", V")),
            named ? "release " + version : "");
  EXPECT_GT(image->compile_ms, 0);
}

TEST_F(Compile, PtxIsTextForItsTarget) {
  const auto image =
      make_inprocess_compiler(real_options())->compile(request_for(kSpec, "compute_90"));
  ASSERT_TRUE(image.ok()) << image.message();
  EXPECT_TRUE(check_image({90, true}, image->image).ok());
  EXPECT_NE(image->image.find(".entry rmsnorm_packed("), std::string::npos);
  EXPECT_NE(image->image.find(".entry rmsnorm_any("), std::string::npos);
  EXPECT_EQ(image->registers, 0);
}

TEST_F(Compile, AnErrorHoldsTheWholeLog) {
  CompileRequest request = request_for(kSpec, "sm_90");
  request.spec_cuh += "\n#error first words\nint unannotated() { return undeclared_name; }\n";
  for (const auto make : {make_inprocess_compiler, make_worker_compiler}) {
    const auto image = make(real_options())->compile(request);
    ASSERT_EQ(image.code(), StatusCode::kCompileFailed);
    const std::string first = image.message().substr(0, image.message().find('\n'));
    for (const char* part : {"hidden=1024", "sm_90", "NVRTC "}) {
      EXPECT_NE(first.find(part), std::string::npos) << first;
    }
    EXPECT_NE(image.message().find("first words"), std::string::npos) << image.message();
    EXPECT_NE(image.message().find("spec.cuh("), std::string::npos) << image.message();
  }
}

TEST_F(Compile, NothingOfTheHostChanges) {
  for (const auto make : {make_inprocess_compiler, make_worker_compiler}) {
    const auto compiler = make(real_options());
    const auto before = host_state();
    EXPECT_TRUE(compiler->compile(request_for("hidden=256", "sm_90")).ok());
    EXPECT_EQ(host_state(), before);
  }
}

constexpr const char* kResourceSource = R"(
extern "C" __global__ void plain(float* p) { p[threadIdx.x] = p[threadIdx.x + 1] * p[3]; }
extern "C" __global__ void busy(float* p, int n) {
  __shared__ float cells[64];
  float local[48];
  for (int i = 0; i < 48; ++i) local[i] = p[i * n];
  for (int i = 0; i < n; ++i) local[i % 48] += local[i * 7 % 48];
  cells[threadIdx.x] = local[n];
  __syncthreads();
  p[n] = cells[n];
})";

struct Said {
  int registers = 0, stack = 0, shared = 0;
};

// ptxas -v: "Function properties for NAME", "N bytes stack frame", "Used N registers, ... N bytes
// smem".
std::map<std::string, Said> read_ptxas(const std::string& log) {
  std::map<std::string, Said> said;
  std::string name;
  std::istringstream in(log);
  for (std::string line; std::getline(in, line);) {
    std::smatch match;
    if (std::regex_search(line, match, std::regex("unction properties for (\\w+)")) ||
        std::regex_search(line, match, std::regex("Compiling entry function '(\\w+)'"))) {
      name = match[1];
    }
    const auto number = [&](const char* pattern, int* out) {
      if (std::regex_search(line, match, std::regex(pattern))) *out = std::stoi(match[1]);
    };
    if (name.empty()) continue;
    number("(\\d+) bytes stack frame", &said[name].stack);
    number("Used (\\d+) registers", &said[name].registers);
    number("(\\d+) bytes smem", &said[name].shared);
  }
  return said;
}

TEST_F(Compile, TheNumbersReadFromACubinAreThoseThatPtxasSays) {
  const auto library = NvrtcLibrary::open({real_options().nvrtc, false, ""});
  ASSERT_TRUE(library.ok()) << library.message();
  for (const char* target : kTargets) {
    if (!knows(*parse_target(target))) continue;
    CompileJob job{"resources", target, {}, {{"resources.cu", kResourceSource}}};
    job.options = {std::string("-arch=") + target, "--ptxas-options=-v"};
    std::string log;
    const auto image = (*library)->compile(job, &log);
    ASSERT_TRUE(image.ok()) << image.message();
    const auto said = read_ptxas(log);
    const auto info = read_cubin(image->image);
    ASSERT_TRUE(info.ok()) << info.message();
    ASSERT_EQ(info->kernels.size(), 2u);
    ASSERT_EQ(said.size(), 2u) << log;
    for (const KernelResources& kernel : info->kernels) {
      ASSERT_EQ(said.count(kernel.name), 1u) << log;
      EXPECT_EQ(kernel.registers, said.at(kernel.name).registers) << log;
      EXPECT_EQ(kernel.stack_bytes, said.at(kernel.name).stack) << log;
      EXPECT_EQ(kernel.shared_bytes, said.at(kernel.name).shared) << log;
    }
    EXPECT_EQ(said.at("busy").stack, 192) << log;
    EXPECT_EQ(said.at("busy").shared, 256) << log;
  }
}

TEST(OldNvrtc, CompilesTheTargetsItKnowsAndRefusesTheOthers) {
  const char* path = getenv("RMSJIT_TEST_OLD_NVRTC");
  if (path == nullptr) GTEST_SKIP() << "RMSJIT_TEST_OLD_NVRTC names no libnvrtc of CUDA 12";
  CompilerOptions options = real_options();
  options.nvrtc = path;
  for (const auto make : {make_inprocess_compiler, make_worker_compiler}) {
    const auto compiler = make(options);
    const auto identity = compiler->identity();
    ASSERT_TRUE(identity.ok()) << identity.message();
    EXPECT_EQ(identity->major, 12);
    for (const char* target : {"sm_80", "sm_90"}) {
      const KernelId id = kernel_id(kSpec, target);
      const auto image = compiler->compile(make_compile_request(id));
      ASSERT_TRUE(image.ok()) << image.message();
      expect_shippable(id, *image);
    }
    EXPECT_TRUE(compiler->compile(request_for(kSpec, "compute_90")).ok());
    if (identity->minor >= 8) continue;
    EXPECT_EQ(compiler->compile(request_for(kSpec, "sm_120")).code(), StatusCode::kUnsupported);
  }
}

}  // namespace
}  // namespace rmsjit
