// SPDX-License-Identifier: Apache-2.0
// `rmsnorm-bench tune`: times every sensible plan of each spec on the GPU at hand and names, for
// each spec, the one plan that costs least over all row counts (one key, one plan).
#ifndef RMSJIT_BENCH_TUNE_H_
#define RMSJIT_BENCH_TUNE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace rmsjit::bench {

struct TuneOptions {
  std::vector<int64_t> hidden = {4096};
  std::vector<int64_t> rows = {1, 16, 128, 1024, 8192};
  std::vector<std::string> variants = {
      "x=bf16,pdl=on"};   // spec texts without hidden: "x=bf16,residual=add,pdl=on"
  std::string nvrtc;      // path, or empty to search
  std::string json_path;  // every cell; empty: none
  int jobs = 0;           // compiler threads; 0: all cores
  int rounds = 7;
};

// Prints one line a spec. Throws CudaError. Returns the number of plans that failed to compile.
int tune(const TuneOptions& options);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_TUNE_H_
