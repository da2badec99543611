// SPDX-License-Identifier: Apache-2.0
// `rmsnorm-bench compile`: what the template's generality costs a cold compile, beside a source
// reduced by hand to one spec (hand_reduced.cu). Interleaved, NVRTC's own cache off, no GPU needed.
#ifndef RMSJIT_BENCH_COMPILE_COST_H_
#define RMSJIT_BENCH_COMPILE_COST_H_

#include <string>

namespace rmsjit::bench {

// Prints median and least milliseconds of both, and their ratio. Throws CudaError without NVRTC.
void compile_cost(const std::string& nvrtc, int rounds);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_COMPILE_COST_H_
