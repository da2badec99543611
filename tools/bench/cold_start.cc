// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/cold_start.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <vector>

#include "runtime/nvrtc_library.h"
#include "tools/bench/results_file.h"
#include "tools/bench/self_process.h"

namespace rmsjit::bench {
namespace {

struct Route {
  const char* impl;
  const char* name;
  const char* baseline;  // the raw route that it is held against; null: none
};
// In this order, so that "disk" and "bundle" find what "worker" has left.
constexpr Route kRoutes[] = {
    {"raw", "raw-worker", nullptr},     {"raw", "raw-inprocess", nullptr},
    {"rmsjit", "worker", "raw-worker"}, {"rmsjit", "disk", nullptr},
    {"rmsjit", "bundle", nullptr},      {"rmsjit", "inprocess", "raw-inprocess"}};

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "rmsjit-cold-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw CudaError("cannot make " + pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Found once and given to every process, so that none of them searches.
std::string find_nvrtc(const std::string& given) {
  NvrtcSearch search;
  search.chosen = absolute_path(given);
  search.object_folder = own_object_folder();
  const auto nvrtc = NvrtcLibrary::open(search);
  if (!nvrtc.ok()) throw CudaError(nvrtc.message());
  return (*nvrtc)->identity().path;
}

double run_route(const Route& route, const std::string& folder, const ColdStartOptions& options,
                 const std::string& nvrtc) {
  std::vector<std::string> arguments = {"cold",   "--child",    route.name, "--folder", folder,
                                        "--spec", options.spec, "--nvrtc",  nvrtc};
  if (!options.worker.empty()) arguments.insert(arguments.end(), {"--worker", options.worker});
  return std::strtod(run_self(arguments).c_str(), nullptr);
}

}  // namespace

void cold_start(const ColdStartOptions& options) {
  const std::string nvrtc = find_nvrtc(options.nvrtc);
  std::map<std::string, std::vector<double>> ms;
  for (int round = -1; round < options.rounds; ++round) {
    const TemporaryFolder folder;  // a new one: the key was never seen
    for (const Route& route : kRoutes) {
      const double took = run_route(route, folder.path(), options, nvrtc);
      if (round >= 0) ms[route.name].push_back(took);
    }
  }
  nlohmann::ordered_json cold = nlohmann::ordered_json::array();
  for (const Route& route : kRoutes) {
    const std::vector<double>& times = ms[route.name];
    const auto [least, most] = std::minmax_element(times.begin(), times.end());
    std::string line =
        fmt::format("{:<14} {:9.3f} ms [{:.3f}, {:.3f}]", route.name, median(times), *least, *most);
    nlohmann::ordered_json entry{
        {"impl", route.impl}, {"route", route.name}, {"spec", options.spec}, {"ms", median(times)},
        {"ms_min", *least},   {"ms_max", *most},     {"rounds", times}};
    if (route.baseline != nullptr) {
      const std::vector<double>& raw = ms[route.baseline];
      const double ratio = median(times) / median(raw);
      const double of_least = *least / *std::min_element(raw.begin(), raw.end());
      line += fmt::format("  {:.3f} of {} (least {:.3f})", ratio, route.baseline, of_least);
      entry["of_raw"] = ratio;
      entry["of_raw_least"] = of_least;
    }
    std::puts(line.c_str());
    cold.push_back(entry);
  }
  if (!options.json_path.empty()) write_results(options.json_path, Cuda(), "cold", cold);
}

}  // namespace rmsjit::bench
