// SPDX-License-Identifier: Apache-2.0
// KernelTable: (spec as the caller wrote it, device) to its kernel, found without a lock in a few
// nanoseconds. Writers hold the owner's lock; readers never wait.
#ifndef RMSJIT_KERNEL_TABLE_H_
#define RMSJIT_KERNEL_TABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "rmsjit/rmsjit_c.h"

namespace rmsjit {

class LoadedKernel;

// The whole spec and the device in one word; 0 when a field does not fit its bits, which only the
// slow path can explain. A value that fits but has no meaning makes a word that no kernel has.
inline uint64_t pack_word(const rmsjit_spec& spec, int32_t device) {
  static_assert(offsetof(rmsjit_spec, constant_weight) == offsetof(rmsjit_spec, layout) + 13 * 4);
  constexpr uint64_t kEach = 0x100000001;  // one in each half
  // The fields two by two: {layout, x}, {weight, y} and on, each of two bits or, {weight, y},
  // three.
  const auto pair = [&](int i) {
    uint64_t both;
    std::memcpy(&both, &spec.layout + 2 * i, sizeof both);
    return both;
  };
  const auto hidden = static_cast<uint64_t>(spec.hidden) - 1;
  const auto ordinal = static_cast<uint32_t>(device);
  uint64_t all = 0, packed = 0;
  for (const int i : {0, 2, 3, 4, 5, 6}) {
    all |= pair(i);
    packed = packed << 2 | pair(i);
  }
  if (((all & ~(3 * kEach)) | (pair(1) & ~(7 * kEach)) | hidden >> 18 | ordinal >> 15) != 0)
      [[unlikely]] {
    return 0;
  }
  packed = packed << 3 | pair(1);
  const uint64_t fields = static_cast<uint32_t>(packed | packed >> 17);
  return (uint64_t{1} << 15 | ordinal) << 48 | hidden << 30 | fields;
}

class KernelTable {
 public:
  KernelTable();
  ~KernelTable();
  KernelTable(const KernelTable&) = delete;
  KernelTable& operator=(const KernelTable&) = delete;

  const LoadedKernel* find(uint64_t word) const {
    const Slots& slots = *slots_.load(std::memory_order_acquire);
    size_t i = start(word, slots);
    uint64_t held;
    while ((held = slots.list[i].word.load(std::memory_order_acquire)) != word) [[unlikely]] {
        if (held == 0) return nullptr;
        i = (i + 1) & slots.mask;
      }
    return slots.list[i].kernel.load(std::memory_order_acquire);
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
