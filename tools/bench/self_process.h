// SPDX-License-Identifier: Apache-2.0
// This program started once more, and what it printed.
#ifndef RMSJIT_BENCH_SELF_PROCESS_H_
#define RMSJIT_BENCH_SELF_PROCESS_H_

#include <string>
#include <vector>

namespace rmsjit::bench {

// Standard output of `/proc/self/exe arguments...`. Throws CudaError unless it ended with 0.
std::string run_self(const std::vector<std::string>& arguments);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_SELF_PROCESS_H_
