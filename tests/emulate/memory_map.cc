// SPDX-License-Identifier: Apache-2.0
#include "tests/emulate/memory_map.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace rmsjit::emulate {

void MemoryMap::add(Buffer buffer) {
  Entry entry;
  if (buffer.writable) {
    const int64_t elements = buffer.row_bytes / buffer.element_bytes;
    entry.writers.resize(buffer.row_starts.size() * static_cast<size_t>(elements));
  }
  entry.buffer = std::move(buffer);
  entries_.push_back(std::move(entry));
}

void MemoryMap::begin_launch() {
  for (Entry& entry : entries_) std::fill(entry.writers.begin(), entry.writers.end(), 0u);
}

size_t MemoryMap::find_row(Entry& entry, int64_t offset) {
  const std::vector<int64_t>& starts = entry.buffer.row_starts;
  const int64_t hint = starts[entry.last_row];
  if (offset >= hint && offset < hint + entry.buffer.row_bytes) return entry.last_row;
  const auto after = std::upper_bound(starts.begin(), starts.end(), offset);
  entry.last_row = after == starts.begin() ? 0 : static_cast<size_t>(after - starts.begin()) - 1;
  return entry.last_row;
}

MemoryMap::Place MemoryMap::find(const Access& access, const char* what, std::string* fault) {
  const auto address = reinterpret_cast<uintptr_t>(access.address);
  for (Entry& entry : entries_) {
    const Buffer& buffer = entry.buffer;
    const auto offset = static_cast<int64_t>(address - reinterpret_cast<uintptr_t>(buffer.begin));
    if (offset < 0 || offset >= buffer.bytes) continue;
    const size_t row = find_row(entry, offset);
    const int64_t in_row = offset - buffer.row_starts[row];
    if (in_row < 0 || in_row + access.bytes > buffer.row_bytes) {
      *fault = fmt::format("{} of {} bytes of {} at byte {} of row {}, which has {} bytes", what,
                           access.bytes, buffer.name, in_row, row, buffer.row_bytes);
      return {};
    }
    if (address % access.bytes != 0) {
      *fault = fmt::format("{} of {} bytes of {} at an address that is {} modulo {}", what,
                           access.bytes, buffer.name, address % access.bytes, access.bytes);
      return {};
    }
    const auto size = static_cast<size_t>(buffer.element_bytes);
    const size_t row_elements = static_cast<size_t>(buffer.row_bytes) / size;
    return {&entry, row * row_elements + static_cast<size_t>(in_row) / size, access.bytes / size};
  }
  *fault = fmt::format("{} of {} bytes outside every tensor", what, access.bytes);
  return {};
}

std::string MemoryMap::load(const Access& access, void* value) {
  std::string fault;
  const Place place = find(access, "load", &fault);
  if (place.entry == nullptr) return fault;
  const Buffer& buffer = place.entry->buffer;
  if (!buffer.readable) return fmt::format("load of {}, which is only written", buffer.name);
  if (!access.waited && !buffer.before_wait) {
    return fmt::format("load of {} before the PDL wait", buffer.name);
  }
  std::memcpy(value, access.address, access.bytes);
  if (place.entry->writers.empty()) return {};
  const auto size = static_cast<size_t>(buffer.element_bytes);
  for (size_t i = 0; i < place.count; ++i) {
    const uint32_t writer = place.entry->writers[place.first + i];
    if (writer == 0 || writer == access.thread) continue;
    std::memset(static_cast<std::byte*>(value) + i * size, 0xff, size);
  }
  return {};
}

std::string MemoryMap::store(const Access& access) {
  std::string fault;
  const Place place = find(access, "store", &fault);
  if (place.entry == nullptr) return fault;
  const Buffer& buffer = place.entry->buffer;
  if (!buffer.writable) return fmt::format("store to {}, which is only read", buffer.name);
  if (!access.waited) return fmt::format("store to {} before the PDL wait", buffer.name);
  for (size_t i = place.first; i < place.first + place.count; ++i) {
    uint32_t& writer = place.entry->writers[i];
    if (writer != 0) return fmt::format("an element of {} is written twice", buffer.name);
    writer = access.thread;
  }
  return {};
}

}  // namespace rmsjit::emulate
