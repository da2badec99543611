// SPDX-License-Identifier: Apache-2.0
// A results file with one list, as benchlib/record.py describes it and bench.py merges it.
#ifndef RMSJIT_BENCH_RESULTS_FILE_H_
#define RMSJIT_BENCH_RESULTS_FILE_H_

#include <nlohmann/json.hpp>
#include <string>

#include "tools/bench/cuda_session.h"

namespace rmsjit::bench {

// Nothing when `path` is empty. Throws CudaError when the file cannot be written.
void write_results(const std::string& path, const Cuda& cuda, const char* list,
                   const nlohmann::ordered_json& entries);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_RESULTS_FILE_H_
