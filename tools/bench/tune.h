// SPDX-License-Identifier: Apache-2.0
// `rmsnorm-bench tune`: times every sensible plan of each spec on the GPU at hand, chooses one plan
// for each by the rule of plan_choice.h and writes it into the plan file.
#ifndef RMSJIT_BENCH_TUNE_H_
#define RMSJIT_BENCH_TUNE_H_

#include <cstdint>
#include <string>
#include <vector>

namespace rmsjit::bench {

struct TuneOptions {
  // The plan file, and NAME_few.inc and NAME_many.inc beside it if they are there, updated in
  // place.
  std::string plans_path;
  bool check = false;  // leave them, and fail if they would change
  // Records (--json of earlier runs) to choose from; then nothing is measured and no GPU needed.
  std::vector<std::string> records;

  std::vector<int64_t> hidden;  // empty: the sizes of the files
  // Each L2-warm, where four sets of tensors fit one, and L2-cold.
  std::vector<int64_t> rows = {1, 16, 128, 256, 512, 1024, 2048, 4096, 8192, 32768};
  // Spec texts without hidden.
  std::vector<std::string> variants = {"x=bf16", "x=bf16,residual=add", "x=bf16,pdl=on",
                                       "x=bf16,residual=add,pdl=on"};
  std::string nvrtc;      // path, or empty to search
  std::string json_path;  // the record; empty: none
  int jobs = 0;           // compiler threads; 0: all cores
  int rounds = 7;
};

// Prints what choose_plans prints. Throws CudaError. False: with `check`, a file would change.
bool tune(TuneOptions options);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_TUNE_H_
