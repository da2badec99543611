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

// The whole spec and the device in one word; 0 when a field is out of its range, which only the
// slow path can explain.
inline uint64_t pack_word(const rmsjit_spec& spec, int32_t device) {
  uint64_t word = 1, bad = 0;  // the leading 1 keeps every word from being 0
  const auto put = [&](int32_t value, uint32_t largest, int bits) {
    bad |= static_cast<uint32_t>(value) > largest;
    word = word << bits | static_cast<uint32_t>(value);
  };
  const uint64_t hidden = static_cast<uint64_t>(spec.hidden) - 1;
  bad |= hidden > 0x3ffff;
  put(device, 0xffff, 16);
  put(static_cast<int32_t>(hidden), 0x3ffff, 18);
  put(spec.layout, 1, 1);
  put(spec.x, 3, 2);
  put(spec.weight, 4, 3);
  put(spec.y, 3, 2);
  put(spec.residual, 1, 1);
  put(spec.residual_dtype, 3, 2);
  put(spec.weight_form, 1, 1);
  put(spec.y_placement, 1, 1);
  put(spec.residual_placement, 1, 1);
  put(spec.add_round, 2, 2);
  put(spec.mul_round, 1, 1);
  put(spec.root, 1, 1);
  put(spec.pdl, 2, 2);
  put(spec.constant_weight, 1, 1);
  return bad ? 0 : word;
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
