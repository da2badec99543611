// SPDX-License-Identifier: Apache-2.0
#include "runtime/options.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <thread>

#include "runtime/callbacks.h"
#include "runtime/errors.h"

namespace rmsjit {
namespace {

constexpr int kMostJobs = 8;

// An empty variable says nothing, except RMSJIT_CACHE_DIR.
std::string_view variable(Variables variables, const char* name) {
  const char* value = variables(name);
  return value == nullptr ? std::string_view{} : value;
}

std::string text_option(const char* given, Variables variables, const char* name) {
  return given != nullptr ? given : std::string(variable(variables, name));
}

// The number of a word in `words`, from an option (number, 0 for unset) or a variable (word).
struct Choice {
  const char* option;
  const char* name;
  const char* const* words;  // the first has number 1
  int count;
};

Result<int> choose(const Choice& choice, int32_t given, Variables variables) {
  if (given < 0 || given > choice.count) {
    return errors::option_out_of_range(choice.option, given, 0, choice.count);
  }
  if (given != 0) return int{given};
  const std::string_view value = variable(variables, choice.name);
  if (value.empty()) return 0;
  std::string allowed;
  for (int i = 0; i < choice.count; ++i) {
    if (value == choice.words[i]) return i + 1;
    allowed += (i == 0 ? "" : ", ") + std::string(choice.words[i]);
  }
  return errors::variable_not_allowed(choice.name, value, allowed);
}

constexpr const char* kJitWords[] = {"on", "warn", "off"};
constexpr const char* kCompileWords[] = {"worker", "inprocess"};
constexpr const char* kLogWords[] = {"debug", "info", "warning"};

// A whole number of bytes, or one with the suffix K, M or G (powers of 1024).
Result<int64_t> parse_bytes(const char* name, std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view suffix(end, text.data() + text.size());
  const int shift = suffix.empty()  ? 0
                    : suffix == "K" ? 10
                    : suffix == "M" ? 20
                    : suffix == "G" ? 30
                                    : -1;
  if (error != std::errc{} || shift < 0 || value < 1 || value > (INT64_MAX >> shift)) {
    return errors::variable_not_allowed(name, text,
                                        "a whole number of bytes above 0, or with K, M or G");
  }
  return value << shift;
}

Status positive_or_default(const char* option, int64_t given, int64_t& value) {
  if (given < 0) return errors::option_out_of_range(option, given, 0, INT32_MAX);
  if (given > 0) value = given;
  return {};
}

Status positive_or_default(const char* option, int32_t given, int& value) {
  int64_t wide = value;
  RMSJIT_RETURN_IF_ERROR(positive_or_default(option, int64_t{given}, wide));
  value = static_cast<int>(wide);
  return {};
}

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= path.size();) {
    const size_t colon = std::min(path.find(':', at), path.size());
    if (colon > at) parts.emplace_back(path.substr(at, colon - at));
    at = colon + 1;
  }
  return parts;
}

std::string resolve_cache_dir(const char* given, Variables variables) {
  const char* chosen = given != nullptr ? given : variables("RMSJIT_CACHE_DIR");
  if (chosen == nullptr) return default_cache_dir(variables);
  if (*chosen == '\0') return "";
  std::error_code error;
  // Absolute now, because the host may change its directory later.
  const std::filesystem::path absolute = std::filesystem::absolute(chosen, error);
  return error ? std::string(chosen) : absolute.string();
}

// A host that asks for signatures and is misread would load what nobody signed: every other value
// is an error.
Status resolve_signature(const rmsjit_options& given, Variables variables, StoreOptions& store) {
  RMSJIT_ASSIGN_OR_RETURN(
      store.trusted_keys,
      parse_public_keys(text_option(given.trusted_keys, variables, "RMSJIT_TRUSTED_KEYS")));
  if (given.reserved != 0) return errors::option_out_of_range("reserved", given.reserved, 0, 0);
  const int32_t option = given.require_signature;
  if (option < RMSJIT_SIGNATURE_DEFAULT || option > RMSJIT_SIGNATURE_OFF) {
    return errors::option_out_of_range("require_signature", option, 0, RMSJIT_SIGNATURE_OFF);
  }
  const std::string_view value = variable(variables, "RMSJIT_REQUIRE_SIGNATURE");
  const bool on = value == "on" || value == "1",
             off = value.empty() || value == "off" || value == "0";
  if (!on && !off) {
    return errors::variable_not_allowed("RMSJIT_REQUIRE_SIGNATURE", value, "on, off, 1, 0");
  }
  store.require_signature =
      option == RMSJIT_SIGNATURE_ON || (option == RMSJIT_SIGNATURE_DEFAULT && on);
  if (store.require_signature && store.trusted_keys.empty()) return errors::no_trusted_keys();
  return Status();
}

}  // namespace

std::string default_cache_dir(Variables variables) {
  const std::string_view cache = variable(variables, "XDG_CACHE_HOME");
  if (cache.substr(0, 1) == "/") return std::string(cache) + "/rmsjit";
  const std::string_view home = variable(variables, "HOME");
  if (home.substr(0, 1) != "/" || home.find_first_not_of('/') == std::string_view::npos) return "";
  return std::string(home) + "/.cache/rmsjit";
}

Result<RuntimeOptions> resolve_options(const rmsjit_options& given, Variables variables) {
  RuntimeOptions options;
  StoreOptions& store = options.store;
  RMSJIT_RETURN_IF_ERROR(resolve_signature(given, variables, store));
  store.cache_dir = resolve_cache_dir(given.cache_dir, variables);
  store.bundle_paths = split_path(text_option(given.bundle_path, variables, "RMSJIT_BUNDLE_PATH"));
  options.compiler.nvrtc = text_option(given.nvrtc, variables, "RMSJIT_NVRTC");
  options.compiler.worker = text_option(given.worker, variables, "RMSJIT_WORKER");

  RMSJIT_ASSIGN_OR_RETURN(
      const int jit,
      choose({"jit", "RMSJIT_JIT", kJitWords, std::size(kJitWords)}, given.jit, variables));
  store.jit = jit == RMSJIT_JIT_OFF    ? JitMode::kOff
              : jit == RMSJIT_JIT_WARN ? JitMode::kWarn
                                       : JitMode::kOn;
  RMSJIT_ASSIGN_OR_RETURN(const int compile, choose({"compile", "RMSJIT_COMPILE", kCompileWords,
                                                     std::size(kCompileWords)},
                                                    given.compile, variables));
  if (compile == RMSJIT_COMPILE_INPROCESS) options.compile_in = CompileIn::kInProcess;

  if (const std::string_view bytes = variable(variables, "RMSJIT_CACHE_MAX_BYTES");
      !bytes.empty()) {
    RMSJIT_ASSIGN_OR_RETURN(store.cache_max_bytes, parse_bytes("RMSJIT_CACHE_MAX_BYTES", bytes));
  }
  RMSJIT_RETURN_IF_ERROR(
      positive_or_default("cache_max_bytes", given.cache_max_bytes, store.cache_max_bytes));
  RMSJIT_RETURN_IF_ERROR(positive_or_default("max_keys", given.max_keys, options.max_keys));
  RMSJIT_RETURN_IF_ERROR(
      positive_or_default("lock_wait_ms", given.lock_wait_ms, store.lock_wait_ms));
  RMSJIT_RETURN_IF_ERROR(positive_or_default("compile_timeout_ms", given.compile_timeout_ms,
                                             options.compiler.timeout_ms));
  options.jobs = std::clamp(static_cast<int>(std::thread::hardware_concurrency()), 1, kMostJobs);
  RMSJIT_RETURN_IF_ERROR(positive_or_default("compile_jobs", given.compile_jobs, options.jobs));
  options.compiler.jobs = options.jobs;
  store.journal = text_option(given.journal, variables, "RMSJIT_JOURNAL");
  RMSJIT_ASSIGN_OR_RETURN(
      const int level,
      choose({"log", "RMSJIT_LOG", kLogWords, std::size(kLogWords)}, 0, variables));
  const bool profiled = !variable(variables, "NVTX_INJECTION64_PATH").empty();
  RMSJIT_RETURN_IF_ERROR(adopt_callbacks(given, {level, profiled}, store));
  return options;
}

std::unique_ptr<Compiler> make_compiler(const RuntimeOptions& options) {
  if (options.store.jit == JitMode::kOff) return nullptr;
  return options.compile_in == CompileIn::kInProcess ? make_inprocess_compiler(options.compiler)
                                                     : make_worker_compiler(options.compiler);
}

}  // namespace rmsjit
