// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/tune.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "rmsjit/spec_text.h"
#include "runtime/compiler.h"
#include "tools/bench/kernel_under_test.h"
#include "tools/bench/plan_candidates.h"
#include "tools/bench/plan_choice.h"

namespace rmsjit::bench {
namespace {

struct Candidate {
  KernelId id;
  bool late = false;  // its weight, by choice
  std::string image;
  std::string error;
  std::vector<double> us;  // one a point
};

void compile_all(std::vector<Candidate*> work, Compiler& compiler, int jobs) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < jobs; ++i) {
    threads.emplace_back([&] {
      for (size_t at; (at = next.fetch_add(1)) < work.size();) {
        Result<CompiledImage> image = compiler.compile(make_compile_request(work[at]->id));
        if (image.ok()) {
          work[at]->image = std::move(image->image);
          if (image->stack_bytes != 0) work[at]->error = "uses local memory";
        } else {
          work[at]->error = image.message();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

// Where a plan is timed.
struct Point {
  int64_t rows;
  bool cold;     // L2: every launch of a graph on tensors that nothing has read before it
  int launches;  // of a graph: enough that its own start does not count
};

constexpr int kWarmSets = 4;
constexpr int64_t kWarmBytes = 40 << 20;          // of the warm sets together: they stay in an L2
constexpr int64_t kMostBytes = int64_t{1} << 30;  // beyond, bandwidth alone decides
constexpr size_t kOverwrittenBytes = 192 << 20;

std::vector<Point> points_of(const NormSpec& spec, const std::vector<int64_t>& row_counts) {
  std::vector<Point> points;
  for (const int64_t rows : row_counts) {
    const int64_t bytes = rows * spec.hidden * 2 * (spec.has_residual() ? 4 : 2);
    const int launches =
        static_cast<int>(std::clamp<int64_t>((int64_t{1} << 30) / bytes, 4, 96) / 4 * 4);
    if (kWarmSets * bytes <= kWarmBytes) points.push_back({rows, false, launches});
    if (bytes <= kMostBytes) points.push_back({rows, true, launches});
  }
  return points;
}

// Medians of every candidate at one point, in turn round after round.
void time_at(const Cuda& cuda, const Point& point,
             const std::vector<std::unique_ptr<KernelUnderTest>>& kernels,
             const std::vector<Candidate*>& work, int rounds) {
  const Stream stream(cuda);
  const std::vector<TensorSet> sets = make_tensor_sets(cuda, work.front()->id.spec, point.rows,
                                                       point.cold ? point.launches : kWarmSets);
  const Buffer other(cuda, point.cold ? kOverwrittenBytes : 0);
  std::vector<std::unique_ptr<Graph>> graphs;
  for (const auto& kernel : kernels) {
    graphs.push_back(std::make_unique<Graph>(cuda, stream, [&](CUstream s) {
      for (size_t i = 0; i < static_cast<size_t>(point.launches); ++i) {
        kernel->launch(s, sets[i % sets.size()], point.rows);
      }
    }));
    graphs.back()->launch();
  }
  stream.synchronize();
  std::vector<std::vector<double>> times(kernels.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < graphs.size(); ++i) {
      const double us = point.cold ? graphs[i]->time_us([&] {
        stream.overwrite(other, static_cast<unsigned char>(round));
      })
                                   : graphs[i]->time_us();
      times[i].push_back(us / point.launches);
    }
  }
  for (size_t i = 0; i < work.size(); ++i) work[i]->us.push_back(median(times[i]));
}

void time_candidates(const Cuda& cuda, const std::vector<Candidate*>& work,
                     const std::vector<Point>& points, int rounds) {
  std::vector<std::unique_ptr<KernelUnderTest>> kernels;
  for (Candidate* c : work)
    kernels.push_back(std::make_unique<KernelUnderTest>(cuda, c->id, c->image));
  for (const Point& point : points) time_at(cuda, point, kernels, work, rounds);
}

nlohmann::ordered_json cells_of(const std::vector<Candidate*>& work,
                                const std::vector<Point>& points, int multiprocessors) {
  std::vector<int64_t> rows;
  std::vector<const char*> l2;
  for (const Point& point : points) {
    rows.push_back(point.rows);
    l2.push_back(point.cold ? "cold" : "warm");
  }
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const Candidate* c : work) {
    cells.push_back({{"spec", spec_text(c->id.spec)},
                     {"tuning", tuning_text(c->id.tuning)},
                     {"late", c->late},
                     {"multiprocessors", multiprocessors},
                     {"rows", rows},
                     {"l2", l2},
                     {"us", c->us}});
  }
  return cells;
}

// Every spec's plans, compiled.
std::vector<std::vector<Candidate>> compiled_candidates(const Target& target,
                                                        const TuneOptions& options) {
  std::vector<std::vector<Candidate>> groups;
  for (const std::string& variant : options.variants) {
    for (int64_t hidden : options.hidden) {
      Result<NormSpec> spec = parse_spec(fmt::format("hidden={},{}", hidden, variant));
      if (!spec.ok()) throw CudaError(spec.message());
      Result<NormSpec> resolved = resolve(*spec, target);
      if (!resolved.ok()) throw CudaError(resolved.message());
      auto& group = groups.emplace_back();
      for (const PlanCandidate& plan : plan_candidates(*resolved, target)) {
        group.push_back({KernelId{*resolved, target, plan.tuning}, plan.late, "", "", {}});
      }
    }
  }
  std::vector<Candidate*> all;
  for (auto& group : groups) {
    for (Candidate& c : group) all.push_back(&c);
  }
  CompilerOptions compiler_options;
  compiler_options.nvrtc = options.nvrtc;
  const std::unique_ptr<Compiler> compiler = make_inprocess_compiler(compiler_options);
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
  compile_all(all, *compiler, options.jobs > 0 ? options.jobs : cores);
  return groups;
}

void write_record(const nlohmann::ordered_json& record, const std::string& path) {
  if (path.empty()) return;
  std::ofstream out(path);
  out << record << '\n';
  if (!out.flush()) throw CudaError("cannot write " + path);
}

// A record: every cell of every spec. It is written spec by spec, for a sweep takes minutes. A plan
// that cannot be shipped is named and left out.
nlohmann::ordered_json measure(const TuneOptions& options) {
  const Cuda cuda;
  auto groups = compiled_candidates(Target{cuda.sm()}, options);
  nlohmann::ordered_json record{{"schema_version", 1}, {"gpu", cuda.name()}};
  auto& cells = record["cells"] = nlohmann::ordered_json::array();
  for (auto& group : groups) {
    std::vector<Candidate*> work;
    for (Candidate& c : group) {
      if (c.error.empty()) {
        work.push_back(&c);
        continue;
      }
      std::fprintf(stderr, "%s, %s: %s\n", spec_text(c.id.spec).c_str(),
                   tuning_text(c.id.tuning).c_str(), c.error.c_str());
    }
    if (work.empty()) continue;
    const std::vector<Point> points = points_of(work.front()->id.spec, options.rows);
    time_candidates(cuda, work, points, options.rounds);
    const int multiprocessors = cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    for (auto& cell : cells_of(work, points, multiprocessors)) cells.push_back(cell);
    write_record(record, options.json_path);
  }
  return record;
}

// Beside sm_90.inc the second schedules' sm_90_many.inc.
std::string path_for_many(const std::string& plans_path) {
  std::filesystem::path path(plans_path);
  return path.replace_filename(path.stem().string() + "_many" + path.extension().string()).string();
}

// A size with a row of its own in either file.
std::vector<int64_t> sizes_of(const PlanFile& file, const std::optional<PlanFile>& many) {
  std::set<int64_t> sizes;
  for (int64_t size : file.hidden_sizes()) sizes.insert(size);
  if (many) {
    for (int64_t size : many->hidden_sizes()) sizes.insert(size);
  }
  return {sizes.begin(), sizes.end()};
}

nlohmann::ordered_json read_record(const std::string& path) {
  std::ifstream in(path);
  auto record = nlohmann::ordered_json::parse(in, nullptr, false);
  if (!record.is_object() || record.value("schema_version", 0) != 1 || !record.contains("cells")) {
    throw CudaError(path + " is not a tune record");
  }
  return record;
}

}  // namespace

bool tune(TuneOptions options) {
  PlanFile file(options.plans_path);
  std::optional<PlanFile> many;
  const std::string many_path = path_for_many(options.plans_path);
  if (std::filesystem::exists(many_path)) many.emplace(many_path);
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const std::string& path : options.records) {
    const nlohmann::ordered_json record = read_record(path);
    for (const auto& cell : record["cells"]) cells.push_back(cell);
  }
  if (options.records.empty()) {
    if (options.hidden.empty()) options.hidden = sizes_of(file, many);
    cells = measure(options)["cells"];
  }
  const int changed = choose_plans(cells, file, many ? &*many : nullptr);
  if (options.check) return changed == 0;
  if (changed != 0) {
    file.save();
    if (many) many->save();
  }
  return true;
}

}  // namespace rmsjit::bench
