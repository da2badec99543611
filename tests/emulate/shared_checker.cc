// SPDX-License-Identifier: Apache-2.0
#include "tests/emulate/shared_checker.h"

#include <fmt/format.h>

#include <cstdint>

namespace rmsjit::emulate {

void SharedChecker::begin_block(const void* base, size_t bytes) {
  base_ = static_cast<const char*>(base);
  cells_.assign(bytes / sizeof(float), Cell{});
  epoch_ = 1;
  warp_epochs_.fill(0);
  gate_ = nullptr;
}

SharedChecker::Cell* SharedChecker::find(const void* cell, unsigned bytes) {
  const auto offset = reinterpret_cast<uintptr_t>(cell) - reinterpret_cast<uintptr_t>(base_);
  if (offset % bytes != 0 || (offset + bytes) / sizeof(float) > cells_.size()) return nullptr;
  return &cells_[offset / sizeof(float)];
}

bool SharedChecker::is_behind_a_barrier_of_the_warp(const Cell& cell, int thread) const {
  const int warp = thread / kWarpThreads;
  return cell.writer / kWarpThreads == warp &&
         cell.write_epoch_of_warp != warp_epochs_[static_cast<size_t>(warp)];
}

std::string SharedChecker::conflict(const Cell& cell, int thread, const char* what) const {
  return fmt::format("shared cell {} is {} by thread {} with no barrier after thread {}",
                     &cell - cells_.data(), what, thread,
                     cell.write_epoch == epoch_ ? cell.writer : cell.reader);
}

std::string SharedChecker::make_gate(const void* gate, unsigned bytes) {
  if (gate_ != nullptr) return "a gate is made twice";
  if (find(gate, 8) == nullptr) return "a gate outside the shared array, or misaligned";
  gate_ = gate;
  gate_bytes_ = bytes;
  return {};
}

std::string SharedChecker::receive(const void* address, const void* gate) {
  Cell* cell = find(address, sizeof(float));
  if (cell == nullptr) return "mail outside the shared array, or misaligned";
  if (gate_ == nullptr || gate != gate_) return "mail to a gate that has not been made";
  if (gate_bytes_ < sizeof(float)) return "mail to a gate that is open";
  if (cell->sent || cell->write_epoch != 0) {
    return fmt::format("mail to shared cell {}, which is in use", cell - cells_.data());
  }
  cell->sent = true;
  gate_bytes_ -= static_cast<unsigned>(sizeof(float));
  return {};
}

std::string SharedChecker::load(const void* address, unsigned bytes, int thread, bool passed_gate) {
  Cell* first = find(address, bytes);
  if (first == nullptr) return "a shared load outside the shared array, or misaligned";
  for (Cell* cell = first; cell < first + bytes / sizeof(float); ++cell) {
    if (cell->sent && passed_gate) continue;
    if (cell->sent) {
      return fmt::format("shared cell {} is read by thread {} before it passed the gate",
                         cell - cells_.data(), thread);
    }
    if (cell->write_epoch == 0) {
      return fmt::format("shared cell {} is read by thread {} before anything is written there",
                         cell - cells_.data(), thread);
    }
    if (cell->write_epoch == epoch_ && cell->writer != thread &&
        !is_behind_a_barrier_of_the_warp(*cell, thread)) {
      return conflict(*cell, thread, "read");
    }
    cell->reader = cell->read_epoch == epoch_ && cell->reader != thread ? kSeveral : thread;
    cell->read_epoch = epoch_;
  }
  return {};
}

std::string SharedChecker::store(const void* address, unsigned bytes, int thread) {
  Cell* first = find(address, bytes);
  if (first == nullptr) return "a shared store outside the shared array, or misaligned";
  for (Cell* cell = first; cell < first + bytes / sizeof(float); ++cell) {
    const bool written = cell->sent || (cell->write_epoch == epoch_ && cell->writer != thread);
    const bool read = cell->read_epoch == epoch_ && cell->reader != thread;
    if (written || read) return conflict(*cell, thread, "written");
    cell->write_epoch = epoch_;
    cell->write_epoch_of_warp = warp_epochs_[static_cast<size_t>(thread / kWarpThreads)];
    cell->writer = thread;
  }
  return {};
}

}  // namespace rmsjit::emulate
