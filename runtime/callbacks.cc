// SPDX-License-Identifier: Apache-2.0
#include "runtime/callbacks.h"

#include <unistd.h>

#include <string>
#include <utility>

#include "rmsjit/spec_text.h"
#include "runtime/c_structs.h"
#include "runtime/errors.h"

namespace rmsjit {
namespace {

constexpr const char* kLevelNames[] = {"debug", "info", "warning"};

void log_to_stderr(LogLevel level, const std::string& message) {
  const std::string line =
      std::string("rmsjit: ") + kLevelNames[static_cast<int>(level)] + ": " + message + "\n";
  // One write, so that lines of several threads stay whole.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

void adopt_log(const rmsjit_options& given, int stderr_level, StoreOptions& store) {
  if (given.log != nullptr) {
    store.log = [log = given.log, user = given.log_user](LogLevel at, const std::string& message) {
      log(user, static_cast<int32_t>(at), message.c_str());
    };
  } else if (stderr_level != 0) {
    store.log = [least = stderr_level - 1](LogLevel at, const std::string& message) {
      if (static_cast<int>(at) >= least) log_to_stderr(at, message);
    };
  }
}

// The sink of rmsjit_storage.get.
void take_bytes(void* sink, const void* bytes, size_t size) {
  static_cast<std::optional<std::string>*>(sink)->emplace(static_cast<const char*>(bytes), size);
}

Status adopt_storage(const rmsjit_storage* given, HostStorage& storage) {
  rmsjit_storage copy;
  const rmsjit_storage* adopted = nullptr;
  RMSJIT_RETURN_IF_ERROR(adopt(given, "storage", copy, adopted));
  if (adopted->get == nullptr) return errors::argument_null("storage.get");
  if (adopted->put == nullptr) return errors::argument_null("storage.put");
  storage.get = [get = adopted->get, user = adopted->user](const std::string& key) {
    std::optional<std::string> bytes;
    get(user, key.c_str(), take_bytes, &bytes);
    return bytes;
  };
  storage.put = [put = adopted->put, user = adopted->user](const std::string& key,
                                                           const std::string& bytes) {
    return put(user, key.c_str(), bytes.data(), bytes.size()) == 0;
  };
  return {};
}

}  // namespace

Status adopt_callbacks(const rmsjit_options& given, const Listeners& listeners,
                       StoreOptions& store) {
  adopt_log(given, listeners.stderr_level, store);
  if (given.on_compile != nullptr) {
    store.on_compile = [call = given.on_compile, user = given.on_compile_user](
                           const KernelId& id, const std::string& reason, double ms) {
      call(user, spec_text(id.spec).c_str(), id.target.name().c_str(), reason.c_str(), ms);
    };
  }
  if (given.trace != nullptr) {
    store.trace = [call = given.trace, user = given.trace_user](TracePhase phase, const char* what,
                                                                const char* text) {
      call(user, static_cast<int32_t>(phase), what, text);
    };
  } else if (listeners.profiled) {
    store.trace = nvtx_trace();
  }
  return given.storage == nullptr ? Status() : adopt_storage(given.storage, store.storage);
}

}  // namespace rmsjit
