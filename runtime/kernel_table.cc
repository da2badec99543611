// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_table.h"

#include <algorithm>

namespace rmsjit {
namespace {
constexpr size_t kFirstSlots = 256;  // 4 KiB: the key sets of several models
}

KernelTable::KernelTable() {
  all_.push_back(std::make_unique<Slots>(kFirstSlots));
  slots_ = all_.back().get();
}

KernelTable::~KernelTable() = default;

bool KernelTable::put(Slots& slots, uint64_t word, const LoadedKernel* kernel) {
  size_t i = start(word, slots);
  uint64_t held = slots.list[i].word.load(std::memory_order_relaxed);
  while (held != word && held != 0) {
    i = (i + 1) & slots.mask;
    held = slots.list[i].word.load(std::memory_order_relaxed);
  }
  // The kernel first, so that a reader who sees the word sees it too.
  slots.list[i].kernel.store(kernel, std::memory_order_release);
  slots.list[i].word.store(word, std::memory_order_release);
  return held == 0;
}

void KernelTable::grow() {
  const Slots& old = *all_.back();
  auto larger = std::make_unique<Slots>(2 * (old.mask + 1));
  for (size_t i = 0; i <= old.mask; ++i) {
    const uint64_t held = old.list[i].word.load(std::memory_order_relaxed);
    if (held != 0) put(*larger, held, old.list[i].kernel.load(std::memory_order_relaxed));
  }
  slots_.store(larger.get(), std::memory_order_release);
  all_.push_back(std::move(larger));
}

void KernelTable::insert(uint64_t word, const LoadedKernel* kernel) {
  // Half of the slots stay free, so that a search ends soon.
  if (2 * (used_ + 1) > all_.back()->mask + 1) grow();
  if (put(*all_.back(), word, kernel)) ++used_;
}

void KernelTable::forget(const std::vector<const LoadedKernel*>& kernels) {
  const Slots& slots = *all_.back();
  for (size_t i = 0; i <= slots.mask; ++i) {
    std::atomic<const LoadedKernel*>& held = slots.list[i].kernel;
    if (std::find(kernels.begin(), kernels.end(), held.load()) != kernels.end()) held = nullptr;
  }
}

}  // namespace rmsjit
