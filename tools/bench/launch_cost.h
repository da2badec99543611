// SPDX-License-Identifier: Apache-2.0
// `rmsnorm-bench launch`: what rmsjit adds to the driver's launch on a real GPU. Bursts of 64
// launches with a synchronisation between, of the same function into the same buffers: raw
// cuLaunchKernelEx with everything made before, kernel.launch, and runtime.launch, in turn.
#ifndef RMSJIT_BENCH_LAUNCH_COST_H_
#define RMSJIT_BENCH_LAUNCH_COST_H_

#include <string>
#include <vector>

namespace rmsjit::bench {

struct LaunchCostOptions {
  std::vector<std::string> specs = {"hidden=4096", "hidden=4096,pdl=on",
                                    "hidden=4096,residual=add,pdl=on"};
  std::string nvrtc;      // path, or empty to search
  std::string json_path;  // a results file with a `host` list; empty: none
  int rounds = 1001;      // bursts of each kind
};

// Prints a line a spec: the median paired difference and its 95 % bootstrap interval. Throws
// CudaError.
void launch_cost(const LaunchCostOptions& options);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_LAUNCH_COST_H_
