// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot doctor: what rmsjit would find on this machine, and what a miss would lead to.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "rmsjit/version.h"
#include "runtime/compiler.h"
#include "runtime/driver.h"
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/cli_signature.h"
#include "tools/console.h"

namespace rmsjit::cli {
namespace {

using nlohmann::ordered_json;

constexpr const char* kVariables[] = {
    "RMSJIT_CACHE_DIR",
    "RMSJIT_CACHE_MAX_BYTES",
    "RMSJIT_BUNDLE_PATH",
    "RMSJIT_JIT",
    "RMSJIT_COMPILE",
    "RMSJIT_NVRTC",
    "RMSJIT_WORKER",
    "RMSJIT_TRUSTED_KEYS",
    "RMSJIT_JOURNAL",
    "RMSJIT_REQUIRE_SIGNATURE",
    "RMSJIT_LOG",
    "XDG_CACHE_HOME",
    "HOME",
};

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

ordered_json driver_json() {
  const Result<const Driver*> driver = Driver::get();
  if (!driver.ok()) return {{"found", false}, {"error", driver.message()}};
  const int version = (*driver)->version();
  ordered_json devices = ordered_json::array();
  int count = 0;
  const Status counted =
      (*driver)->check((*driver)->functions().cuDeviceGetCount(&count), "cuDeviceGetCount");
  for (int i = 0; counted.ok() && i < count; ++i) {
    const Result<DeviceFacts> facts = (*driver)->device_facts(i);
    if (facts.ok()) {
      devices.push_back({{"device", i},
                         {"arch", fmt::format("sm_{}", facts->sm)},
                         {"multiprocessors", facts->multiprocessors}});
    } else {
      devices.push_back({{"device", i}, {"error", facts.message()}});
    }
  }
  return {{"found", true},
          {"version", fmt::format("{}.{}", version / 1000, version % 1000 / 10)},
          {"devices", devices}};
}

ordered_json nvrtc_json() {
  const auto compiler = make_inprocess_compiler({.nvrtc = variable("RMSJIT_NVRTC")});
  const Result<CompilerIdentity> identity = compiler->identity();
  if (!identity.ok()) return {{"found", false}, {"error", identity.message()}};
  return {{"found", true},
          {"version", fmt::format("{}.{}", identity->major, identity->minor)},
          {"path", identity->path},
          {"targets", identity->supported_sm}};
}

ordered_json layer_json(const char* kind, const std::string& directory,
                        const std::vector<PublicKey>& trusted) {
  ordered_json layer = {{"kind", kind}, {"directory", directory}};
  struct stat facts {};
  if (stat((directory + "/v1").c_str(), &facts) == 0) {
    layer["mode"] = fmt::format("{:04o}", facts.st_mode & 07777);
    layer["owner_uid"] = facts.st_uid;
    layer["writable"] = access((directory + "/v1").c_str(), W_OK) == 0;
  }
  auto cache = DiskCache::open(directory, DiskCache::Mode::kReadOnly);
  if (cache.code() == StatusCode::kUntrusted && !trusted.empty()) {
    cache = DiskCache::open(directory, DiskCache::Mode::kSigned);
  }
  if (!cache.ok()) {
    layer["error"] = cache.message();
    return layer;
  }
  const auto entries = (*cache)->list(true);
  if (!entries.ok()) {
    layer["error"] = entries.message();
    return layer;
  }
  int64_t bytes = 0, bad = 0;
  for (const EntryListing& entry : *entries) {
    bytes += entry.bytes;
    bad += entry.lookup.kind != Lookup::Kind::kHit;
  }
  layer["entries"] = entries->size();
  layer["bytes"] = bytes;
  layer["damaged"] = bad;
  const SignatureReport signature = check_bundle(**cache, trusted);
  layer["signature"] = {{"status", signature.status}};
  if (!signature.key.empty()) layer["signature"]["key"] = signature.key;
  if (signature.bad()) layer["signature"]["error"] = signature.reason;
  const char* network = (*cache)->network_file_system();
  if (network != nullptr) layer["network_file_system"] = network;
  return layer;
}

// In the order in which they are searched.
ordered_json layers_json(const StoreOptions& store) {
  ordered_json layers = ordered_json::array();
  const std::vector<PublicKey>& trusted = store.trusted_keys;
  for (const std::string& path : store.bundle_paths) {
    layers.push_back(layer_json("bundle", path, trusted));
  }
  if (!store.cache_dir.empty() && !store.require_signature) {
    layers.push_back(layer_json("cache", store.cache_dir, trusted));
  }
  return layers;
}

std::string on_a_miss(const RuntimeOptions& options, const ordered_json& nvrtc) {
  if (options.store.require_signature) {
    return "an error that names the key: a signature is required, so nothing is compiled";
  }
  if (options.store.jit == JitMode::kOff) {
    return "an error that names the key: RMSJIT_JIT=off forbids compiling";
  }
  if (!nvrtc["found"].get<bool>()) return "an error: there is no NVRTC to compile with";
  return fmt::format(
      "a compile with NVRTC {} {}{}, {}", nvrtc["version"].get<std::string>(),
      options.compile_in == CompileIn::kWorker ? "in a worker process" : "in the host's process",
      options.store.jit == JitMode::kWarn ? " and a warning" : "",
      options.store.cache_dir.empty() ? "kept in memory only" : "then kept");
}

void print_text(const ordered_json& report) {
  fmt::print("rmsjit    {}\n", report["rmsjit"].get<std::string>());
  for (const char* part : {"driver", "nvrtc"}) {
    const ordered_json& found = report[part];
    fmt::print("{:<9} {}{}\n", part,
               found.value("found", false) ? "CUDA " + found.value("version", "")
                                           : "none: " + found.value("error", ""),
               found.contains("path") ? ", " + found.value("path", "") : "");
  }
  for (const ordered_json& device : report["driver"].value("devices", ordered_json::array())) {
    fmt::print("device    {}: {}, {} multiprocessors\n", device.value("device", 0),
               device.value("arch", device.value("error", "")), device.value("multiprocessors", 0));
  }
  for (const ordered_json& layer : report["layers"]) {
    fmt::print(
        "{:<9} {}: {}\n", layer.value("kind", ""), layer.value("directory", ""),
        layer.contains("error")
            ? layer.value("error", "")
            : fmt::format("{} entries, {} bytes, {} damaged, mode {}, uid {}, {}, signature: {}",
                          layer.value("entries", 0), layer.value("bytes", int64_t{0}),
                          layer.value("damaged", 0), layer.value("mode", "?"),
                          layer.value("owner_uid", 0),
                          layer.value("writable", false) ? "writable" : "read only",
                          layer["signature"].value("status", "")));
  }
  for (const auto& [name, value] : report["variables"].items()) {
    fmt::print("variable  {}={}\n", name, value.get<std::string>());
  }
  fmt::print("on a miss {}\n", report["on_a_miss"].get<std::string>());
}

int run(bool json) {
  ordered_json report = {{"schema_version", 1}, {"rmsjit", RMSJIT_VERSION}};
  report["driver"] = driver_json();
  report["nvrtc"] = nvrtc_json();
  report["variables"] = ordered_json::object();
  for (const char* name : kVariables) {
    if (std::getenv(name) != nullptr) report["variables"][name] = variable(name);
  }
  const Result<RuntimeOptions> options = user_options();
  report["layers"] = options.ok() ? layers_json(options->store) : ordered_json::array();
  report["on_a_miss"] = options.ok() ? on_a_miss(*options, report["nvrtc"])
                                     : "no runtime is created: " + options.message();
  if (json) {
    print_json(report);
  } else {
    print_text(report);
  }
  return kDone;
}

}  // namespace

void add_doctor(CLI::App& root, int& exit_code) {
  auto json = std::make_shared<bool>(false);
  CLI::App* command = root.add_subcommand("doctor", "Show what rmsjit finds on this machine");
  command->add_flag("--json", *json, "One JSON object on stdout");
  command->footer("Example:\n  rmsnorm-aot doctor");
  command->callback([json, &exit_code] { exit_code = run(*json); });
}

}  // namespace rmsjit::cli
