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
#include <thread>

#include "rmsjit/spec_text.h"
#include "runtime/compiler.h"
#include "runtime/launch_plan.h"
#include "tools/bench/kernel_under_test.h"
#include "tools/bench/plan_choice.h"

namespace rmsjit::bench {
namespace {

struct Candidate {
  KernelId id;
  bool late = false;  // its weight, by choice
  std::string image;
  std::string error;
  std::vector<double> us;  // one a row count
};

// Every block shape that the fixed sum allows and that could pay: at most 16 leaves a thread.
std::vector<int> thread_counts(int leaves) {
  std::vector<int> threads;
  for (int t = 1; t <= 1024; t *= 2) {
    if ((t >= 4 || t >= leaves) && (leaves <= 16 * t || t == 1024)) threads.push_back(t);
    if (t >= leaves && t >= 32) break;
  }
  const int exact = (leaves + 31) / 32 * 32;
  if (exact <= 1024 && (exact & (exact - 1)) != 0) threads.push_back(exact);
  return threads;
}

constexpr int kFewestLeavesOfACluster = 2048;

std::vector<Candidate> candidates(const NormSpec& spec, const Target& target) {
  std::vector<Trigger> triggers = {Trigger::kEnd};
  if (spec.pdl == Pdl::kOn) triggers = {Trigger::kWait, Trigger::kLoads, Trigger::kEnd};
  std::vector<BlockShape> shapes;
  const int leaves = leaves_of(spec);
  for (int t : thread_counts(leaves)) {
    for (int rows : {1, 2, 4, 8, 16, 32}) {
      if (t * rows > 512 && rows > 1) continue;
      if (t < 32 && t * rows < 128) continue;
      shapes.push_back({t, rows});
    }
  }
  // Clusters: a row of 2 to 16 leaves a thread.
  if (leaves >= kFewestLeavesOfACluster && target.sm >= 90) {
    for (int cluster : {2, 4, 8}) {
      for (int t = 128; t <= 1024; t *= 2) {
        const int row = t * cluster;
        if (leaves <= 16 * row && leaves >= 2 * row)
          shapes.push_back({t, 1, Trigger::kEnd, cluster});
      }
    }
  }
  std::vector<Candidate> out;
  for (BlockShape shape : shapes) {
    for (Trigger trigger : triggers) {
      shape.trigger = trigger;
      shape.weight = WeightLoad::kEarly;
      const Tuning tuning = complete_tuning(spec, target, shape);
      out.push_back({KernelId{spec, target, tuning}, false, "", "", {}});
      if (!tuning.weight_early || tuning.register_slots == 1) continue;
      shape.weight = WeightLoad::kLate;
      out.push_back(
          {KernelId{spec, target, complete_tuning(spec, target, shape)}, true, "", "", {}});
    }
  }
  return out;
}

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

// Launches of one graph: enough that the graph's own start does not count.
int launches_for(int64_t bytes) {
  return static_cast<int>(
      std::clamp<int64_t>((int64_t{1} << 30) / std::max<int64_t>(bytes, 1), 4, 96));
}

void time_candidates(const Cuda& cuda, std::vector<Candidate*>& work, const TuneOptions& options) {
  const Stream stream(cuda);
  const NormSpec& spec = work.front()->id.spec;
  std::vector<std::unique_ptr<KernelUnderTest>> kernels;
  for (Candidate* c : work)
    kernels.push_back(std::make_unique<KernelUnderTest>(cuda, c->id, c->image));
  for (int64_t rows : options.rows) {
    const int64_t bytes = rows * spec.hidden * 2 * (spec.has_residual() ? 4 : 2);
    const std::vector<TensorSet> sets = make_tensor_sets(cuda, spec, rows, 4);
    const int launches = launches_for(bytes) / 4 * 4;
    std::vector<std::unique_ptr<Graph>> graphs;
    std::vector<std::vector<double>> times(kernels.size());
    for (const auto& kernel : kernels) {
      graphs.push_back(std::make_unique<Graph>(cuda, stream, [&](CUstream s) {
        for (int i = 0; i < launches; ++i) {
          kernel->launch(s, sets[static_cast<size_t>(i % 4)], rows);
        }
      }));
      graphs.back()->launch();
    }
    stream.synchronize();
    for (int round = 0; round < options.rounds; ++round) {
      for (size_t i = 0; i < graphs.size(); ++i)
        times[i].push_back(graphs[i]->time_us() / launches);
    }
    for (size_t i = 0; i < work.size(); ++i) work[i]->us.push_back(median(times[i]));
  }
}

nlohmann::ordered_json cells_of(const std::vector<Candidate*>& work, const TuneOptions& options,
                                int multiprocessors) {
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const Candidate* c : work) {
    cells.push_back({{"spec", spec_text(c->id.spec)},
                     {"tuning", tuning_text(c->id.tuning)},
                     {"late", c->late},
                     {"multiprocessors", multiprocessors},
                     {"rows", options.rows},
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
      groups.push_back(candidates(*resolved, target));
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

// A record: every cell of every spec. `failed` counts the plans that cannot be compiled.
nlohmann::ordered_json measure(const TuneOptions& options, int& failed) {
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
      ++failed;
      std::fprintf(stderr, "%s: %s\n", tuning_text(c.id.tuning).c_str(), c.error.c_str());
    }
    if (work.empty()) continue;
    time_candidates(cuda, work, options);
    const int multiprocessors = cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    for (auto& cell : cells_of(work, options, multiprocessors)) cells.push_back(cell);
  }
  return record;
}

// Beside sm_90.inc the second schedules' sm_90_many.inc.
std::string path_for_many(const std::string& plans_path) {
  std::filesystem::path path(plans_path);
  return path.replace_filename(path.stem().string() + "_many" + path.extension().string()).string();
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

int tune(const TuneOptions& options) {
  int failed = 0;
  nlohmann::ordered_json cells = nlohmann::ordered_json::array();
  for (const std::string& path : options.records) {
    const nlohmann::ordered_json record = read_record(path);
    for (const auto& cell : record["cells"]) cells.push_back(cell);
  }
  if (options.records.empty()) {
    const nlohmann::ordered_json record = measure(options, failed);
    cells = record["cells"];
    if (!options.json_path.empty()) {
      std::ofstream out(options.json_path);
      out << record << '\n';
      if (!out.flush()) throw CudaError("cannot write " + options.json_path);
    }
  }
  PlanFile file(options.plans_path);
  std::optional<PlanFile> many;
  const std::string many_path = path_for_many(options.plans_path);
  if (std::filesystem::exists(many_path)) many.emplace(many_path);
  const int changed = choose_plans(cells, file, many ? &*many : nullptr);
  if (options.check) return changed == 0 ? 0 : 1;
  if (changed != 0) {
    file.save();
    if (many) many->save();
  }
  return failed;
}

}  // namespace rmsjit::bench
