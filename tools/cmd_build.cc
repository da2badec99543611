// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot build: every spec of every source for every target, compiled into one directory.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "rmsjit/spec_text.h"
#include "runtime/spec_json.h"
#include "tools/build_items.h"
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/spec_sources.h"

namespace rmsjit::cli {
namespace {

constexpr int kMaxJobs = 256;

struct BuildOptions {
  SpecSources sources;
  std::string out;
  int jobs = 0;
  bool dry_run = false, refresh = false, unsign = false, json = false, quiet = false;
  Talk talk() const { return quiet ? Talk::kQuiet : Talk::kNormal; }
  int jobs_or_cores() const {
    return jobs > 0 ? jobs : std::max(1, int(std::thread::hardware_concurrency()));
  }
};

struct Summary {
  int compiled = 0, hits = 0, failed = 0, would_compile = 0;
  double elapsed_ms = 0;
};

Summary summarise(const std::vector<BuildItem>& items, double elapsed_ms) {
  Summary summary{.elapsed_ms = elapsed_ms};
  for (const BuildItem& item : items) {
    if (!item.status.ok()) {
      ++summary.failed;
    } else if (!item.acquired) {
      ++summary.would_compile;
    } else {
      ++(item.acquired->origin == Origin::kCompiled ? summary.compiled : summary.hits);
    }
  }
  return summary;
}

nlohmann::ordered_json item_json(const BuildItem& item) {
  nlohmann::ordered_json json = {{"digest", item.key.digest().hex()},
                                 {"spec", spec_to_json(item.id.spec)},
                                 {"spec_text", spec_text(item.id.spec)},
                                 {"arch", item.id.target.name()},
                                 {"status", item.status.ok() ? "ok" : "failed"}};
  const char* const facts[] = {"origin", "compile_ms", "registers", "spill_bytes", "cubin_bytes"};
  for (const char* fact : facts) json[fact] = nullptr;
  if (item.acquired) {
    const Entry& entry = item.acquired->entry;
    json["origin"] = origin_name(item.acquired->origin);
    json["compile_ms"] = item.acquired->compile_ms;
    json["registers"] = entry.metadata.registers;
    json["spill_bytes"] = entry.metadata.spill_bytes;
    json["cubin_bytes"] = entry.image.size();
  }
  json["error"] = nullptr;
  if (!item.status.ok()) json["error"] = item.status.message();
  return json;
}

void print_build_json(const std::vector<BuildItem>& items, const Summary& summary, bool dry_run) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const BuildItem& item : items) list.push_back(item_json(item));
  nlohmann::ordered_json totals = {{"total", items.size()},
                                   {"compiled", summary.compiled},
                                   {"hits", summary.hits},
                                   {"failed", summary.failed},
                                   {"elapsed_ms", summary.elapsed_ms}};
  if (dry_run) totals["would_compile"] = summary.would_compile;
  print_json({{"schema_version", 1}, {"items", list}, {"summary", totals}});
}

void print_build_table(const std::vector<BuildItem>& items) {
  std::vector<std::vector<std::string>> rows = {
      {"spec", "target", "regs", "spills", "bytes", "ms", "origin"}};
  for (const BuildItem& item : items) {
    std::vector<std::string> row = {spec_text(item.id.spec), item.id.target.name()};
    if (item.acquired) {
      const Entry& entry = item.acquired->entry;
      row.insert(
          row.end(),
          {std::to_string(entry.metadata.registers), std::to_string(entry.metadata.spill_bytes),
           std::to_string(entry.image.size()), fmt::format("{:.0f}", item.acquired->compile_ms),
           origin_name(item.acquired->origin)});
    } else {
      const char* why = item.status.ok()       ? "to compile"
                        : item.stopped_by != 0 ? "not tried"
                                               : "FAILED";
      row.insert(row.end(), {"-", "-", "-", "-", why});
    }
    rows.push_back(std::move(row));
  }
  print_table(rows);
}

void report_failures(const std::vector<BuildItem>& items) {
  int untried = 0, number = 0;
  for (const BuildItem& item : items) {
    if (item.stopped_by != 0) {
      ++untried;
      number = item.stopped_by;
    } else if (!item.status.ok()) {
      fail(kSomeFailed, fmt::format("{} for {}: {}", spec_text(item.id.spec), item.id.target.name(),
                                    item.status.message()));
    }
  }
  if (untried == 0) return;
  fail(kSomeFailed, fmt::format("stopped by signal {}: {} of {} kernels were not tried; the same "
                                "command goes on from here",
                                number, untried, items.size()));
}

int report(const BuildOptions& options, const std::vector<BuildItem>& items, double elapsed_ms) {
  const Summary summary = summarise(items, elapsed_ms);
  report_failures(items);
  if (options.json) {
    print_build_json(items, summary, options.dry_run);
  } else {
    print_build_table(items);
  }
  const std::string compiled = options.dry_run ? fmt::format("{} to compile", summary.would_compile)
                                               : fmt::format("{} compiled", summary.compiled);
  say(options.talk(),
      fmt::format("{} kernels: {}, {} found, {} failed, {:.1f} s -> {}", items.size(), compiled,
                  summary.hits, summary.failed, elapsed_ms / 1000, options.out));
  return summary.failed == 0 ? kDone : kSomeFailed;
}

std::vector<BuildItem> make_items(std::vector<KernelId> kernels, int cuda_major) {
  std::vector<BuildItem> items;
  for (KernelId& id : kernels) {
    BuildItem item;
    item.key = id.cache_key(cuda_major);
    item.id = std::move(id);
    items.push_back(std::move(item));
  }
  return items;
}

// What a build would find; makes nothing.
int dry_run(const BuildOptions& options, std::vector<BuildItem> items) {
  auto cache = DiskCache::open(options.out, DiskCache::Mode::kReadOnly);
  if (!cache.ok() && cache.code() != StatusCode::kNotFound) {
    return fail(kNotTried, "--out " + options.out + ": " + cache.message());
  }
  for (BuildItem& item : items) {
    if (!cache.ok() || options.refresh) continue;
    Lookup lookup = (*cache)->get(item.key);
    if (lookup.kind == Lookup::Kind::kHit) {
      item.acquired = Acquired{std::move(lookup.entry), Origin::kCache, 0};
    }
  }
  return report(options, items, 0);
}

int build(const BuildOptions& options, std::unique_ptr<Compiler> compiler,
          std::vector<BuildItem> items) {
  constexpr auto kShare = DiskCache::Share::kReadable;
  auto cache = DiskCache::open(options.out, DiskCache::Mode::kReadWrite, kShare);
  if (!cache.ok()) return fail(kNotTried, "--out " + options.out + ": " + cache.message());
  if (options.unsign) {
    const Status unsigned_now = (*cache)->remove_signature();
    if (!unsigned_now.ok()) return fail(kNotTried, unsigned_now.message());
  } else if ((*cache)->read_signature().code() != StatusCode::kNotFound) {
    return fail(kNotTried, "--out " + options.out + " is signed, so it stays as it is; --unsign " +
                               "takes the signature away");
  }
  StoreOptions store_options{.cache_dir = options.out, .share = kShare};
  store_options.refresh = options.refresh;
  store_options.cache_max_bytes = INT64_MAX;  // a bundle is never pruned by itself
  KernelStore store(store_options, std::move(compiler));
  const auto begin = std::chrono::steady_clock::now();
  {
    ProgressBar bar(options.talk(), items.size());
    build_items({.store = &store,
                 .cache = cache->get(),
                 .jobs = options.jobs_or_cores(),
                 .on_done = [&](const BuildItem& item) { bar.step(spec_text(item.id.spec)); }},
                items);
  }
  const std::chrono::duration<double, std::milli> elapsed =
      std::chrono::steady_clock::now() - begin;
  return report(options, items, elapsed.count());
}

// A worker process for each job: compiles of one process wait for each other.
Result<std::unique_ptr<Compiler>> compiler_for(const BuildOptions& options) {
  RMSJIT_ASSIGN_OR_RETURN(RuntimeOptions user, user_options());
  user.store.jit = JitMode::kOn;  // RMSJIT_JIT is about runtimes
  user.compiler.jobs = options.jobs_or_cores();
  user.compiler.warn = [talk = options.talk()](const std::string& why) { say(talk, why); };
  return make_compiler(user);
}

int run(const BuildOptions& options) {
  if (options.jobs < 0 || options.jobs > kMaxJobs) {
    return fail(kBadUsage, fmt::format("--jobs {} is out of range: 1 .. {}, or 0 for every core",
                                       options.jobs, kMaxJobs));
  }
  Result<std::vector<KernelId>> kernels = options.sources.load_kernels();
  if (!kernels.ok()) return fail(kBadUsage, kernels.message());
  Result<std::unique_ptr<Compiler>> compiler = compiler_for(options);
  if (!compiler.ok()) return fail(kBadUsage, compiler.message());
  const Result<CompilerIdentity> identity = (*compiler)->identity();
  if (!identity.ok()) return fail(kNotTried, identity.message());
  std::vector<BuildItem> items = make_items(std::move(*kernels), identity->major);
  if (options.dry_run) return dry_run(options, std::move(items));
  return build(options, std::move(*compiler), std::move(items));
}

}  // namespace

void add_build(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<BuildOptions>();
  CLI::App* command = root.add_subcommand("build", "Compile kernels into a bundle; needs no GPU");
  options->sources.add_to(*command);
  command->add_option("--out", options->out, "The bundle, made when missing")
      ->required()
      ->type_name("DIR");
  command->add_option("--jobs,-j", options->jobs, "Compiles at once (default: every core)")
      ->type_name("N");
  command->add_flag("--dry-run", options->dry_run, "Say what would be compiled; write nothing");
  command->add_flag("--refresh", options->refresh, "Compile and replace what is there already");
  command->add_flag("--unsign", options->unsign, "Take the signature of a signed bundle away");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No progress and no summary");
  command->footer("Example:\n  rmsnorm-aot build --model config.json --arch sm_90 --out bundle");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
