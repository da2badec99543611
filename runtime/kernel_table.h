// SPDX-License-Identifier: Apache-2.0
// KernelTable: (spec as the caller wrote it, device) to its kernel, found without a lock in a few
// nanoseconds. Writers hold the owner's lock; readers never wait.
#ifndef RMSJIT_KERNEL_TABLE_H_
#define RMSJIT_KERNEL_TABLE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "rmsjit/rmsjit_c.h"

namespace rmsjit {

class LoadedKernel;

// The whole spec and the device in one word; 0 when a field does not fit its bits, which only the
// slow path can explain. A value that fits but has no meaning makes a word that no kernel has.
inline uint64_t pack_word(const rmsjit_spec& spec, int32_t device) {
  const auto bits = [](int32_t value) { return static_cast<uint32_t>(value); };
  const uint64_t hidden = static_cast<uint64_t>(spec.hidden) - 1;
  const uint32_t one_bit =
      bits(spec.layout | spec.residual | spec.weight_form | spec.y_placement |
           spec.residual_placement | spec.mul_round | spec.root | spec.constant_weight);
  const uint32_t two_bits = bits(spec.x | spec.y | spec.residual_dtype | spec.add_round | spec.pdl);
  if ((hidden >> 18 | bits(device) >> 16 | one_bit >> 1 | two_bits >> 2 | bits(spec.weight) >> 3) !=
      0) [[unlikely]] {
    return 0;
  }
  uint64_t word = 1;  // keeps every word from being 0
  const auto put = [&](int32_t value, int width) { word = (word << width) + bits(value); };
  put(device, 16);
  put(static_cast<int32_t>(hidden), 18);
  put(spec.layout, 1);
  put(spec.x, 2);
  put(spec.weight, 3);
  put(spec.y, 2);
  put(spec.residual, 1);
  put(spec.residual_dtype, 2);
  put(spec.weight_form, 1);
  put(spec.y_placement, 1);
  put(spec.residual_placement, 1);
  put(spec.add_round, 2);
  put(spec.mul_round, 1);
  put(spec.root, 1);
  put(spec.pdl, 2);
  put(spec.constant_weight, 1);
  return word;
}

class KernelTable {
 public:
  KernelTable();
  ~KernelTable();
  KernelTable(const KernelTable&) = delete;
  KernelTable& operator=(const KernelTable&) = delete;

  const LoadedKernel* find(uint64_t word) const {
    const Slots& slots = *slots_.load(std::memory_order_acquire);
    for (size_t i = start(word, slots);; i = (i + 1) & slots.mask) {
      const uint64_t held = slots.list[i].word.load(std::memory_order_acquire);
      if (held == word) return slots.list[i].kernel.load(std::memory_order_acquire);
      if (held == 0) return nullptr;
    }
  }

  // Requires the owner's lock. A word that is there gets the new kernel.
  void insert(uint64_t word, const LoadedKernel* kernel);
  // Requires the owner's lock. Every word of these kernels finds nothing afterwards.
  void forget(const std::vector<const LoadedKernel*>& kernels);
  size_t size() const { return used_; }

 private:
  struct Slot {
    std::atomic<uint64_t> word{0};
    std::atomic<const LoadedKernel*> kernel{nullptr};
  };
  struct Slots {
    explicit Slots(size_t count) : mask(count - 1), list(new Slot[count]) {}
    size_t mask;
    std::unique_ptr<Slot[]> list;
  };

  static size_t start(uint64_t word, const Slots& slots) {
    return (word * 0x9e3779b97f4a7c15u >> 32) & slots.mask;
  }
  static bool put(Slots& slots, uint64_t word, const LoadedKernel* kernel);  // whether it is new
  void grow();

  std::atomic<Slots*> slots_;
  size_t used_ = 0;
  // Every table there ever was: a reader may still be in an outgrown one.
  std::vector<std::unique_ptr<Slots>> all_;
};

}  // namespace rmsjit

#endif  // RMSJIT_KERNEL_TABLE_H_
