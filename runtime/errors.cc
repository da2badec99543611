// SPDX-License-Identifier: Apache-2.0
#include "runtime/errors.h"

#include <fmt/format.h>

#include "rmsjit/spec_text.h"

namespace rmsjit::errors {

std::string list_places(const std::vector<Place>& places) {
  std::string text;
  for (const Place& place : places) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : ", ", place.where, place.reason);
  }
  return text.empty() ? "nowhere: no bundle and no cache directory is set" : text;
}

Status jit_disabled(const KernelId& id, const std::string& digest, const std::vector<Place>& places,
                    const std::string& nearest) {
  return {StatusCode::kJitDisabled,
          fmt::format("compiling is off (jit=off, or a signature is required) and no entry holds "
                      "spec \"{}\" for target {}: "
                      "key {}, searched {}{}{}; add it with rmsnorm-aot build --spec \"{}\" --arch "
                      "{} --out DIR",
                      spec_text(id.spec), id.target.name(), digest, list_places(places),
                      nearest.empty() ? "" : "; ", nearest, spec_text(id.spec), id.target.name())};
}

Status compiler_too_new(const std::string& nvrtc_version, int newest_loadable_major) {
  return {StatusCode::kUnsupported,
          fmt::format("NVRTC {} makes images that this driver (CUDA {}) does not load: point "
                      "RMSJIT_NVRTC at an NVRTC {}.x, or ship a bundle built with one",
                      nvrtc_version, newest_loadable_major, newest_loadable_major)};
}

Status driver_not_opened(const char* library, const char* reason) {
  return {StatusCode::kDriverUnavailable,
          fmt::format("{} cannot be opened ({}): install the NVIDIA driver, or run where it is "
                      "mounted",
                      library, reason == nullptr ? "no reason given" : reason)};
}

Status driver_symbol_missing(const char* library, const char* symbol) {
  return {StatusCode::kDriverUnavailable,
          fmt::format("{} has no {}: a driver for CUDA 12.0 or newer is needed", library, symbol)};
}

Status driver_not_started(const std::string& reason) {
  return {StatusCode::kDriverUnavailable,
          fmt::format("the CUDA driver does not start: {}", reason)};
}

Status no_such_device(int device, int count) {
  return {StatusCode::kInvalidArgument,
          count > 0
              ? fmt::format("device={} is not there: 0 .. {}", device, count - 1)
              : fmt::format("device={} is not there: this machine shows no CUDA device", device)};
}

Status device_too_old(int device, int sm) {
  return {
      StatusCode::kUnsupported,
      fmt::format("device={} is sm_{}: sm_80 or newer is needed (bf16 conversion)", device, sm)};
}

Status wrong_device(int kernels, int streams) {
  return {
      StatusCode::kWrongDevice,
      fmt::format("the stream belongs to device {} and the kernel to device {}: prepare the spec "
                  "on the stream's device",
                  streams, kernels)};
}

Status wrong_context(int device) {
  return {StatusCode::kWrongContext,
          fmt::format("the stream belongs to another context of device {} than the kernel: prepare "
                      "the spec while that context is current",
                      device)};
}

Status launch_failed(const std::string& spec_text, const std::string& reason) {
  return {StatusCode::kDriver, fmt::format("spec \"{}\" was not launched: {}", spec_text, reason)};
}

Status load_failed(const std::string& spec_text, const std::string& target, const Status& reason) {
  return {reason.code(), fmt::format("the {} image of spec \"{}\" was not loaded: {}", target,
                                     spec_text, reason.message())};
}

Status not_prepared(const std::string& spec_text, int device, const char* why) {
  return {StatusCode::kNotPrepared,
          fmt::format("spec \"{}\" is not prepared on device {} and {}: prepare it first, or add "
                      "that text to the list that is warmed",
                      spec_text, device, why)};
}

Status too_many_keys(int limit) {
  return {StatusCode::kTooManyKeys,
          fmt::format("this runtime holds max_keys={} distinct keys: raise max_keys, or look for a "
                      "spec that is made from request data",
                      limit)};
}

Status deadline_passed(const std::string& spec_text, int timeout_ms) {
  return {StatusCode::kTimeout,
          fmt::format("spec \"{}\" was not begun within timeout_ms={}", spec_text, timeout_ms)};
}

Status option_out_of_range(const char* option, int64_t given, int64_t least, int64_t most) {
  return {StatusCode::kInvalidArgument,
          fmt::format("{}={} is not allowed: {} .. {}", option, given, least, most)};
}

Status variable_not_allowed(const char* name, std::string_view value, const std::string& allowed) {
  return {StatusCode::kInvalidArgument,
          fmt::format("{}=\"{}\" is not allowed: {}", name, value.substr(0, 60), allowed)};
}

Status no_trusted_keys() {
  return {StatusCode::kInvalidArgument,
          "require_signature=on needs trusted_keys (RMSJIT_TRUSTED_KEYS): the public keys of those "
          "who sign bundles, 64 hex digits each, separated by commas"};
}

Status bundle_refused(const std::string& directory, const std::string& reason) {
  return {StatusCode::kUntrusted,
          fmt::format("a signature is required and bundle {} {}", directory, reason)};
}

Status entry_refused(const std::string& directory, const std::string& digest,
                     const std::string& reason) {
  return {StatusCode::kUntrusted,
          fmt::format("a signature is required and entry {} of bundle {} is "
                      "refused: {}",
                      digest, directory, reason)};
}

Status entry_unreadable(const std::string& directory, const std::string& reason) {
  return {StatusCode::kIo,
          fmt::format("a signature is required and an entry of bundle {} cannot be "
                      "read now: {}",
                      directory, reason)};
}

Status argument_null(const char* name) {
  return {StatusCode::kInvalidArgument, fmt::format("{} is null: a pointer is needed", name)};
}

Status struct_size_not_set(const char* name, size_t given, size_t expected) {
  return {
      StatusCode::kInvalidArgument,
      fmt::format("{}.struct_size={} is not a size: set it to sizeof(struct), {} in this version",
                  name, given, expected)};
}

Status struct_tail_not_zero(const char* name, size_t given, size_t known) {
  return {
      StatusCode::kInvalidArgument,
      fmt::format("{}.struct_size={} is of a newer rmsjit and a field beyond the {} bytes known "
                  "here is not zero: leave newer fields zero, or update the library",
                  name, given, known)};
}

Status text_too_long(size_t capacity, size_t needed) {
  return {StatusCode::kInvalidArgument,
          fmt::format("capacity={} is too small for the text: at least {}", capacity, needed)};
}

}  // namespace rmsjit::errors
