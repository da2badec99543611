// SPDX-License-Identifier: Apache-2.0
// A slot's leaf out of memory and back into it: whole, the row's short last one, or realigned, and
// nothing of a row that is not there.
#ifndef RMSJIT_ROW_IO_CUH
#define RMSJIT_ROW_IO_CUH

#include "row_map.cuh"

namespace rmsjit {

// In realign.cuh, which spec.cuh includes where the kernel needs it (Spec::kRealign).
template <class L>
struct Pieces;
template <class L>
RMSJIT_DEVICE Words<4> last_words_of_lane_below(const L& leaf);
template <class L>
RMSJIT_DEVICE void store_realigned(const L& leaf, const Words<4>& before,
                                   typename L::Type::Storage* at, bool first, bool last);

// Loads a slot's leaf; row is at the leaf of slot 0. What the row does not have is +0, and all of a
// row that is not there.
template <class Spec, bool kPacked, class T, class... L2>
RMSJIT_DEVICE void load_slot(Leaf<T, Spec::kLeaf>& leaf, const typename T::Storage* row, int slot,
                             bool there, L2... l2) {
  using S = Shape<Spec>;
  if (!S::kEven || !there) leaf.clear();
  if (there && is_whole<Spec>(slot)) {
    load_leaf<kPacked, Spec::kLeaf>(leaf, row + slot_offset<Spec>(slot), l2...);
  } else if constexpr (S::kTail != 0) {
    if (there && is_tail<Spec>(slot)) {
      load_leaf<kPacked, S::kTail>(leaf, row + slot_offset<Spec>(slot));
    }
  }
}

// The same in two steps for rows that are realigned: the loads, and what makes them a leaf.
template <class Spec, bool kPacked, class L, class... L2>
RMSJIT_DEVICE void load_slot(Pieces<L>& pieces, const typename L::Type::Storage* row, int slot,
                             bool there, L2... l2) {
  using S = Shape<Spec>;
  const typename L::Type::Storage* at = row + slot_offset<Spec>(slot);
  pieces.clear();
  if (!there) return;
  if (is_inner<Spec>(slot)) {
    pieces.load_around(at, l2...);
  } else if (is_whole<Spec>(slot)) {
    pieces.template load_elements<Spec::kLeaf>(at);
  } else if constexpr (S::kTail != 0) {
    if (is_tail<Spec>(slot)) pieces.template load_elements<S::kTail>(at);
  }
}
template <class Spec, class T>
RMSJIT_DEVICE const LeafOf<Spec, T>& settle(const Leaf<T, Spec::kLeaf>& leaf,
                                            const typename T::Storage*, int) {
  return leaf;
}
template <class Spec, class L>
RMSJIT_DEVICE L settle(Pieces<L>& pieces, const typename L::Type::Storage* row, int slot) {
  return pieces.leaf(row + slot_offset<Spec>(slot), is_inner<Spec>(slot));
}

// Stores a slot's leaf; every thread of the row calls it, with or without one.
template <class Spec, bool kPacked, class T>
RMSJIT_DEVICE void store_slot(const Leaf<T, Spec::kLeaf>& leaf, typename T::Storage* row, int slot,
                              bool there) {
  using S = Shape<Spec>;
  const int index = leaf_index<Spec>(slot);
  typename T::Storage* at = row + slot_offset<Spec>(slot);
  if constexpr (!kPacked && Spec::kRealign) {
    const Words<4> before = last_words_of_lane_below(leaf);
    if (there && is_whole<Spec>(slot)) {
      const u32 lane = thread_x() % kWarpThreads;
      const bool last = lane == kWarpThreads - 1 || index + 1 >= S::kFullLeaves;
      store_realigned(leaf, before, at, lane == 0, last);
    }
  } else {
    if (there && is_whole<Spec>(slot)) store_leaf<kPacked, Spec::kLeaf>(leaf, at);
  }
  if constexpr (S::kTail != 0) {
    if (there && is_tail<Spec>(slot)) store_leaf<kPacked, S::kTail>(leaf, at);
  }
}

}  // namespace rmsjit

#endif  // RMSJIT_ROW_IO_CUH
