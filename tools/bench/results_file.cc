// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/results_file.h"

#include <fmt/format.h>

#include <fstream>

namespace rmsjit::bench {

void write_results(const std::string& path, const Cuda& cuda, const char* list,
                   const nlohmann::ordered_json& entries) {
  if (path.empty()) return;
  int driver = 0;
  cuda.check(cuda.api().cuDriverGetVersion(&driver), "cuDriverGetVersion");
  nlohmann::ordered_json data{
      {"schema_version", 1},
      {"gpu", cuda.name()},
      {"driver", fmt::format("CUDA {}.{}", driver / 1000, driver % 100 / 10)}};
  data[list] = entries;
  std::ofstream out(path);
  out << data.dump(1) << '\n';
  if (!out.flush()) throw CudaError("cannot write " + path);
}

}  // namespace rmsjit::bench
