// SPDX-License-Identifier: Apache-2.0
// `rmsnorm-bench cold`: the first launch of a key in a fresh process, from after the creation of
// the primary context to the end of the stream's work, beside the least that a program without the
// library needs for the same source: dlopen, NVRTC, load, by the same route.
#ifndef RMSJIT_BENCH_COLD_START_H_
#define RMSJIT_BENCH_COLD_START_H_

#include <string>

namespace rmsjit::bench {

struct ColdStartOptions {
  std::string spec = "hidden=4096,x=bf16";
  std::string nvrtc;      // path, or empty to search
  std::string worker;     // path, or empty to search
  std::string json_path;  // a results file with a `cold` list; empty: none
  int rounds = 9;         // processes of each route, after one that does not count
};

// Prints a line a route. Throws CudaError.
void cold_start(const ColdStartOptions& options);

// The measured process: milliseconds on stdout; for "compile" the image. Throws CudaError.
void cold_start_child(const std::string& route, const std::string& folder,
                      const ColdStartOptions& options);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_COLD_START_H_
