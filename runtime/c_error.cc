// SPDX-License-Identifier: Apache-2.0
#include "runtime/c_error.h"

#include <fmt/format.h>

#include <cstring>
#include <string>

namespace rmsjit {

static_assert(RMSJIT_INTERNAL == static_cast<int>(StatusCode::kInternal));

void fill_error(const Status& status, rmsjit_error& error) {
  error.code = static_cast<rmsjit_status>(status.code());
  const std::string& text = status.message();
  const size_t capacity = sizeof error.message;
  if (text.size() < capacity) {
    std::memcpy(error.message, text.c_str(), text.size() + 1);
    return;
  }
  const std::string note = fmt::format(" ... [cut, {} bytes in all]", text.size());
  const size_t kept = capacity - 1 - note.size();
  std::memcpy(error.message, text.data(), kept);
  std::memcpy(error.message + kept, note.c_str(), note.size() + 1);
}

}  // namespace rmsjit
