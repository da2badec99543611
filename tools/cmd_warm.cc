// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot warm: the last step before a node takes traffic. Every kernel is read and checked as
// a runtime would, and loaded once into each GPU it is for; the exit code is the gate. Under
// --check nothing is compiled and nothing written.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>

#include "rmsjit/spec_text.h"
#include "runtime/driver.h"
#include "runtime/runtime.h"
#include "runtime/spec_json.h"
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/spec_sources.h"

namespace rmsjit::cli {
namespace {

using Clock = std::chrono::steady_clock;

struct WarmOptions {
  std::vector<std::string> bundles;
  SpecSources sources;
  bool check = false, json = false, quiet = false;
  Talk talk() const { return quiet ? Talk::kQuiet : Talk::kNormal; }
};

struct WarmItem {
  KernelId id;
  int device = -1;  // where it was to be loaded; -1: its image is checked only
  Status status;
  std::string digest, image, origin;  // of what serves
  double ms = 0;
};

// The GPUs of this machine by what their images are called, or why there is none.
struct Gpus {
  std::map<int, int> first_of;  // sm to ordinal
  std::string reason;
};

Gpus find_gpus() {
  Gpus gpus;
  const Result<const Driver*> driver = Driver::get();
  int count = 0;
  Status status = driver.status();
  if (status.ok())
    status = (*driver)->check((*driver)->functions().cuDeviceGetCount(&count), "cuDeviceGetCount");
  for (int device = 0; status.ok() && device < count; ++device) {
    const Result<DeviceFacts> facts = (*driver)->device_facts(device);
    if (facts.ok()) gpus.first_of.emplace(facts->sm, device);
    status = facts.status();
  }
  gpus.reason = status.ok() ? "the driver lists no device" : status.message();
  return gpus;
}

// Under --check what is searched is read only: of the bundles given, or of all that the user has.
Result<RuntimeOptions> runtime_options(const WarmOptions& options) {
  RMSJIT_ASSIGN_OR_RETURN(RuntimeOptions runtime, user_options());
  StoreOptions& store = runtime.store;
  if (options.check && !store.cache_dir.empty()) {
    store.bundle_paths.push_back(std::move(store.cache_dir));
    store.cache_dir.clear();
  }
  if (options.check) store.jit = JitMode::kOff;
  if (!options.bundles.empty()) store.bundle_paths = options.bundles;
  return runtime;
}

void check_image_of(KernelStore& store, WarmItem& item) {
  const std::vector<int> majors = loadable_majors();
  const Result<Acquired> acquired = store.acquire(item.id, majors);
  item.status = acquired.status();
  if (!acquired.ok()) return;
  item.digest = acquired->entry.digest().hex();
  item.image = acquired->entry.target;
  item.origin = origin_name(acquired->origin);
}

void load(RuntimeCore& runtime, WarmItem& item) {
  const Result<const LoadedKernel*> kernel = runtime.prepare(item.id.spec, item.device);
  item.status = kernel.status();
  if (!kernel.ok()) return;
  rmsjit_kernel_info info{};
  (*kernel)->describe(info);
  item.digest = info.digest;
  item.image = info.target;
  item.origin = info.origin;
}

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

void warm_all(RuntimeCore& runtime, const WarmOptions& options, std::vector<WarmItem>& items) {
  ProgressBar bar(options.talk(), items.size());
  for (WarmItem& item : items) {
    const Clock::time_point begin = Clock::now();
    if (item.device < 0) {
      check_image_of(runtime.store(), item);
    } else {
      load(runtime, item);
    }
    item.ms = ms_since(begin);
    bar.step(spec_text(item.id.spec));
  }
}

std::vector<WarmItem> make_items(std::vector<KernelId> kernels, const Gpus& gpus) {
  std::vector<WarmItem> items;
  for (KernelId& id : kernels) {
    WarmItem item;
    const auto gpu = gpus.first_of.find(id.target.sm);
    if (gpu != gpus.first_of.end() && !id.target.ptx) item.device = gpu->second;
    item.id = std::move(id);
    items.push_back(std::move(item));
  }
  return items;
}

nlohmann::ordered_json item_json(const WarmItem& item) {
  const bool ok = item.status.ok();
  const auto if_ok = [ok](const std::string& text) {
    return ok ? nlohmann::ordered_json(text) : nullptr;
  };
  nlohmann::ordered_json json = {{"digest", if_ok(item.digest)},
                                 {"spec", spec_to_json(item.id.spec)},
                                 {"spec_text", spec_text(item.id.spec)},
                                 {"arch", item.id.target.name()},
                                 {"status", ok ? "ok" : "failed"},
                                 {"device", nullptr},
                                 {"image", if_ok(item.image)},
                                 {"origin", if_ok(item.origin)},
                                 {"ms", item.ms},
                                 {"error", nullptr}};
  if (item.device >= 0) json["device"] = item.device;
  if (!ok) json["error"] = item.status.message();
  return json;
}

void print_warm_table(const std::vector<WarmItem>& items) {
  std::vector<std::vector<std::string>> rows = {
      {"spec", "target", "device", "image", "origin", "ms"}};
  for (const WarmItem& item : items) {
    rows.push_back({spec_text(item.id.spec), item.id.target.name(),
                    item.device < 0 ? "-" : std::to_string(item.device),
                    item.status.ok() ? item.image : "-", item.status.ok() ? item.origin : "FAILED",
                    fmt::format("{:.2f}", item.ms)});
  }
  print_table(rows);
}

int report(const WarmOptions& options, const Gpus& gpus, const std::vector<WarmItem>& items,
           double elapsed_ms) {
  size_t failed = 0, loaded = 0;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const WarmItem& item : items) {
    loaded += item.status.ok() && item.device >= 0;
    failed += !item.status.ok();
    list.push_back(item_json(item));
    if (!item.status.ok()) {
      fail(kSomeFailed, fmt::format("{} for {}: {}", spec_text(item.id.spec), item.id.target.name(),
                                    item.status.message()));
    }
  }
  if (options.json) {
    nlohmann::ordered_json summary = {{"total", items.size()},
                                      {"ok", items.size() - failed},
                                      {"failed", failed},
                                      {"loaded", loaded},
                                      {"elapsed_ms", elapsed_ms}};
    print_json({{"schema_version", 1}, {"items", list}, {"summary", summary}});
  } else {
    print_warm_table(items);
  }
  say(options.talk(), fmt::format("{} kernels: {} ready, {} failed, {} loaded, {:.1f} ms",
                                  items.size(), items.size() - failed, failed, loaded, elapsed_ms));
  if (gpus.first_of.empty()) {
    say(options.talk(), "no GPU, so images were checked and not loaded: " + gpus.reason);
  }
  return failed == 0 ? kDone : kSomeFailed;
}

// The context is made before the clock of the first kernel starts.
Status make_context(RuntimeCore& runtime, const std::vector<WarmItem>& items) {
  std::vector<int> devices;
  for (const WarmItem& item : items) {
    if (item.device >= 0 && std::count(devices.begin(), devices.end(), item.device) == 0) {
      devices.push_back(item.device);
      RMSJIT_RETURN_IF_ERROR(runtime.prepare_many({}, {.device = item.device}).status());
    }
  }
  return {};
}

int run(WarmOptions options) {
  const Gpus gpus = find_gpus();
  if (options.sources.arches.empty()) {
    if (gpus.first_of.empty()) {
      return fail(kNotTried, "there is no GPU to warm (" + gpus.reason +
                                 "): use --arch LIST to check images alone");
    }
    for (const auto& [sm, device] : gpus.first_of) {
      options.sources.arches.push_back(fmt::format("sm_{}", sm));
    }
  }
  Result<std::vector<KernelId>> kernels = options.sources.load_kernels();
  if (!kernels.ok()) return fail(kBadUsage, kernels.message());
  Result<RuntimeOptions> resolved = runtime_options(options);
  if (!resolved.ok()) return fail(kBadUsage, resolved.message());
  for (const std::string& bundle : options.bundles) {
    const auto opened = DiskCache::open(bundle, DiskCache::Mode::kReadOnly);
    if (!opened.ok()) return fail(kNotTried, "--bundle " + bundle + ": " + opened.message());
  }
  std::unique_ptr<Compiler> compiler = make_compiler(*resolved);
  RuntimeCore runtime(std::move(*resolved), std::move(compiler));
  std::vector<WarmItem> items = make_items(std::move(*kernels), gpus);
  const Status context = make_context(runtime, items);
  if (!context.ok()) return fail(kNotTried, context.message());
  const Clock::time_point begin = Clock::now();
  warm_all(runtime, options, items);
  return report(options, gpus, items, ms_since(begin));
}

}  // namespace

void add_warm(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<WarmOptions>();
  CLI::App* command = root.add_subcommand("warm", "Read, check and load every kernel once");
  command
      ->add_option("--bundle", options->bundles, "Bundles, searched in order (default: the user's)")
      ->type_name("DIR")
      ->allow_extra_args(false);
  options->sources.add_to(*command);
  command->add_flag("--check", options->check,
                    "Compile nothing, write nothing: a miss is a failure");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No progress and no summary");
  command->footer(
      "Without --arch: for every GPU here. Without --check, what misses is compiled and kept.\n"
      "Example:\n  rmsnorm-aot warm --model config.json --bundle bundle --check");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
