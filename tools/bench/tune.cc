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

// Where a plan is timed.
struct Point {
  int64_t rows;
  bool cold;  // L2: every launch of a graph on tensors that nothing has read before it
  bool default_stream_used;  // use_default_stream
  int launches;              // of a graph: enough that its own start does not count
};

struct Candidate {
  KernelId id;
  bool late = false;  // its weight, by choice
  bool few = false;
  std::string image = {};
  std::string error = {};
  std::vector<Point> points = {};
  std::vector<double> us = {};  // one a point

  bool is_timed_at(const Point& point, int multiprocessors) const {
    return !few ||
           2 * point.rows * id.tuning.cluster <= int64_t{kMostBlocksOfFew} * multiprocessors;
  }
};

// A spec's plans.
struct Group {
  std::vector<Candidate> candidates;

  const NormSpec& spec() const { return candidates.front().id.spec; }
  std::vector<Candidate*> usable() {
    std::vector<Candidate*> out;
    for (Candidate& c : candidates) {
      if (c.error.empty()) out.push_back(&c);
    }
    return out;
  }
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

constexpr int kWarmSets = 4;
constexpr int64_t kWarmBytes = 40 << 20;          // of the warm sets together: they stay in an L2
constexpr int64_t kMostBytes = int64_t{1} << 30;  // beyond, bandwidth alone decides
constexpr int64_t kFewBytes = 16 << 20;           // beyond, how a launch begins hardly matters
constexpr size_t kOverwrittenBytes = 192 << 20;

std::vector<Point> points_of(const NormSpec& spec, const std::vector<int64_t>& row_counts,
                             bool used) {
  std::vector<Point> points;
  for (const int64_t rows : row_counts) {
    const int64_t bytes = rows * spec.hidden * 2 * (spec.has_residual() ? 4 : 2);
    if (used && bytes > kFewBytes) continue;
    const int launches =
        static_cast<int>(std::clamp<int64_t>((int64_t{1} << 30) / bytes, 4, 96) / 4 * 4);
    if (kWarmSets * bytes <= kWarmBytes) points.push_back({rows, false, used, launches});
    if (bytes <= kMostBytes) points.push_back({rows, true, used, launches});
  }
  return points;
}

// Medians at one point of every kernel that is timed there, in turn round after round.
void time_at(const Cuda& cuda, const Stream& stream, const Point& point,
             const std::vector<Candidate*>& work,
             const std::vector<std::unique_ptr<KernelUnderTest>>& kernels, int rounds) {
  const std::vector<TensorSet> sets =
      make_tensor_sets(cuda, work.front()->id.spec, point.rows,
                       point.cold ? point.launches : kWarmSets, stream.get());
  const Buffer other(cuda, point.cold ? kOverwrittenBytes : 0);
  const int multiprocessors = cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  std::vector<Candidate*> timed;
  std::vector<std::unique_ptr<Graph>> graphs;
  for (size_t k = 0; k < work.size(); ++k) {
    if (!work[k]->is_timed_at(point, multiprocessors)) continue;
    timed.push_back(work[k]);
    graphs.push_back(std::make_unique<Graph>(cuda, stream, [&](CUstream s) {
      for (size_t i = 0; i < static_cast<size_t>(point.launches); ++i) {
        kernels[k]->launch(s, sets[i % sets.size()], point.rows);
      }
    }));
    graphs.back()->launch();
  }
  stream.synchronize();
  std::vector<std::vector<double>> times(graphs.size());
  for (int round = 0; round < rounds; ++round) {
    for (size_t i = 0; i < graphs.size(); ++i) {
      const double us = point.cold ? graphs[i]->time_us([&] {
        stream.overwrite(other, static_cast<unsigned char>(round));
      })
                                   : graphs[i]->time_us();
      times[i].push_back(us / point.launches);
    }
  }
  for (size_t i = 0; i < timed.size(); ++i) {
    timed[i]->points.push_back(point);
    timed[i]->us.push_back(median(times[i]));
  }
}

void time_group(const Cuda& cuda, const Stream& stream, Group& group,
                const std::vector<Point>& points, int rounds) {
  const std::vector<Candidate*> work = group.usable();
  if (work.empty()) return;
  std::vector<std::unique_ptr<KernelUnderTest>> kernels;
  for (Candidate* c : work) {
    kernels.push_back(std::make_unique<KernelUnderTest>(cuda, c->id, c->image));
  }
  for (const Point& point : points) time_at(cuda, stream, point, work, kernels, rounds);
}

// A context whose default stream has run some ten kernels, or copies, starts the kernels of a
// stream made by cuStreamCreate later from then on, so that other triggers are best; not those of a
// framework's streams (tools/bench/results/NOTES.md). A plan for PDL has to suit both. Until then
// nothing here touches the default stream.
void use_default_stream(const Cuda& cuda) {
  Buffer buffer(cuda, 1 << 20);
  for (int i = 0; i < 100; ++i) buffer.fill(static_cast<unsigned char>(i));
  cuda.synchronize();
}

nlohmann::ordered_json cell_of(const Candidate& c, int multiprocessors) {
  std::vector<int64_t> rows;
  std::vector<const char*> l2, default_stream;
  for (const Point& point : c.points) {
    rows.push_back(point.rows);
    l2.push_back(point.cold ? "cold" : "warm");
    default_stream.push_back(point.default_stream_used ? "used" : "unused");
  }
  return {{"spec", spec_text(c.id.spec)},
          {"tuning", tuning_text(c.id.tuning)},
          {"late", c.late},
          {"few", c.few},
          {"multiprocessors", multiprocessors},
          {"rows", rows},
          {"l2", l2},
          {"default_stream", default_stream},
          {"us", c.us}};
}

// Every spec's plans, compiled.
std::vector<Group> compiled_candidates(const Target& target, const TuneOptions& options) {
  std::vector<Group> groups;
  for (const std::string& variant : options.variants) {
    for (int64_t hidden : options.hidden) {
      Result<NormSpec> spec = parse_spec(fmt::format("hidden={},{}", hidden, variant));
      if (!spec.ok()) throw CudaError(spec.message());
      Result<NormSpec> resolved = resolve(*spec, target);
      if (!resolved.ok()) throw CudaError(resolved.message());
      auto& group = groups.emplace_back().candidates;
      for (const PlanCandidate& plan : plan_candidates(*resolved, target)) {
        group.push_back({KernelId{*resolved, target, plan.tuning}, plan.late, plan.few});
      }
    }
  }
  std::vector<Candidate*> all;
  for (auto& group : groups) {
    for (Candidate& c : group.candidates) all.push_back(&c);
  }
  // A worker process for each job: compiles of one process wait for each other.
  CompilerOptions compiler_options;
  compiler_options.nvrtc = options.nvrtc;
  compiler_options.jobs =
      options.jobs > 0 ? options.jobs : static_cast<int>(std::thread::hardware_concurrency());
  compiler_options.warn = [](const std::string& why) { fmt::print(stderr, "{}\n", why); };
  compile_all(all, *make_worker_compiler(compiler_options), compiler_options.jobs);
  return groups;
}

void write_record(const nlohmann::ordered_json& record, const std::string& path) {
  if (path.empty()) return;
  std::ofstream out(path);
  out << record << '\n';
  if (!out.flush()) throw CudaError("cannot write " + path);
}

// A record: every cell so far of every spec.
nlohmann::ordered_json record_of(const Cuda& cuda, std::vector<Group>& groups) {
  nlohmann::ordered_json record{{"schema_version", 1}, {"gpu", cuda.name()}};
  auto& cells = record["cells"] = nlohmann::ordered_json::array();
  const int multiprocessors = cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  for (Group& group : groups) {
    for (const Candidate* c : group.usable()) {
      if (!c->us.empty()) cells.push_back(cell_of(*c, multiprocessors));
    }
  }
  return record;
}

// The record is written spec by spec, for a sweep takes minutes. A plan that cannot be shipped is
// named and left out.
nlohmann::ordered_json measure(const TuneOptions& options) {
  const Cuda cuda;
  auto groups = compiled_candidates(Target{cuda.sm()}, options);
  for (const Group& group : groups) {
    for (const Candidate& c : group.candidates) {
      if (c.error.empty()) continue;
      std::fprintf(stderr, "%s, %s: %s\n", spec_text(c.id.spec).c_str(),
                   tuning_text(c.id.tuning).c_str(), c.error.c_str());
    }
  }
  const Stream stream(cuda);
  for (const bool used : {false, true}) {
    if (used) use_default_stream(cuda);
    for (Group& group : groups) {
      // Without PDL every plan takes as much longer there.
      if (used && group.spec().pdl != Pdl::kOn) continue;
      time_group(cuda, stream, group, points_of(group.spec(), options.rows, used), options.rounds);
      write_record(record_of(cuda, groups), options.json_path);
    }
  }
  return record_of(cuda, groups);
}

// Beside sm_90.inc sm_90_few.inc and sm_90_many.inc, if they are there.
std::optional<PlanFile> extra_file(const std::string& plans_path, const char* name) {
  std::filesystem::path path(plans_path);
  path.replace_filename(path.stem().string() + '_' + name + path.extension().string());
  if (!std::filesystem::exists(path)) return {};
  return PlanFile(path.string());
}

// A size with a row of its own in any file.
std::vector<int64_t> sizes_of(const PlanFiles& files) {
  std::set<int64_t> sizes;
  for (const PlanFile* file : {&files.first, files.few, files.many}) {
    if (file == nullptr) continue;
    for (int64_t size : file->hidden_sizes()) sizes.insert(size);
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
  PlanFile first(options.plans_path);
  std::optional<PlanFile> few = extra_file(options.plans_path, "few");
  std::optional<PlanFile> many = extra_file(options.plans_path, "many");
  const PlanFiles files{first, few ? &*few : nullptr, many ? &*many : nullptr};
  std::vector<nlohmann::ordered_json> records;
  for (const std::string& path : options.records) records.push_back(read_record(path));
  if (records.empty()) {
    if (options.hidden.empty()) options.hidden = sizes_of(files);
    records.push_back(measure(options));
  }
  const int changed = choose_plans(records, files);
  if (options.check) return changed == 0;
  if (changed != 0) {
    for (const PlanFile* file : {&files.first, files.few, files.many}) {
      if (file != nullptr) file->save();
    }
  }
  return true;
}

}  // namespace rmsjit::bench
