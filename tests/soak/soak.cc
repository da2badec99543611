// SPDX-License-Identifier: Apache-2.0
// rmsjit-soak [--seconds N] [--processes N] [--threads N] [--seed N]: a swarm of processes launches
// random specs while this one kills and stops them and spoils, prunes, clears and removes their
// cache. Where there is an NVRTC, one process more compiles with it, in workers that are killed
// too. Ends with one line of figures, and with 0 if nothing was wrong, failed, hung or leaked.
#include <fmt/format.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <new>

#include "tests/runtime/stub_driver/stub_driver.h"
#include "tests/soak/siege.h"

namespace rmsjit::soak {
namespace {

// False: bad usage.
bool read_plan(int argc, char** argv, Plan* plan) {
  const std::map<std::string, int*> numbers = {{"--seconds", &plan->seconds},
                                               {"--processes", &plan->processes},
                                               {"--threads", &plan->threads}};
  for (int i = 1; i + 1 < argc; i += 2) {
    const int value = atoi(argv[i + 1]);
    const auto at = numbers.find(argv[i]);
    if (value < 1) return false;
    if (at != numbers.end())
      *at->second = value;
    else if (strcmp(argv[i], "--seed") == 0)
      plan->seed = static_cast<unsigned>(value);
    else
      return false;
  }
  return argc % 2 == 1 && plan->processes >= 2 && plan->processes < kMostProcesses &&
         plan->threads <= kMostThreads;
}

}  // namespace
}  // namespace rmsjit::soak

int main(int argc, char** argv) {
  using namespace rmsjit;
  soak::Plan plan;
  if (!soak::read_plan(argc, argv, &plan)) {
    fmt::print(stderr,
               "usage: rmsjit-soak [--seconds N] [--processes 2..15] [--threads 1..16] "
               "[--seed N]\n");
    return 2;
  }
  if (const char* path = getenv("LD_LIBRARY_PATH");
      path == nullptr || !strstr(path, RMSJIT_STUB_FOLDER)) {
    setenv("LD_LIBRARY_PATH", RMSJIT_STUB_FOLDER, 1);  // where libcuda.so.1 is the stub
    execv("/proc/self/exe", argv);
  }
  if (stub::control().driver == nullptr) {
    fmt::print(stderr, "libcuda.so.1 of {} is not the stub\n", RMSJIT_STUB_FOLDER);
    return 2;
  }
  void* memory = mmap(nullptr, sizeof(soak::Shared), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  std::string root = "/dev/shm/rmsjit-soak-XXXXXX";
  if (memory == MAP_FAILED || mkdtemp(root.data()) == nullptr) {
    fmt::print(stderr, "no shared memory here\n");
    return 2;
  }
  auto* shared = new (memory) soak::Shared();
  const int result = soak::Siege(plan, *shared, root).run();
  std::error_code ignored;
  std::filesystem::remove_all(root, ignored);
  return result;
}
