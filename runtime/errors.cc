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
          fmt::format("compiling is off (jit=off) and no entry holds spec \"{}\" for target {}: "
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

}  // namespace rmsjit::errors
