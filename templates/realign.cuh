// SPDX-License-Identifier: Apache-2.0
// Whole leaves at addresses that are aligned to their elements only, moved in aligned 16-byte
// pieces and shifted into place: element by element the same bytes cost eight times the accesses.
// Nothing outside the row is touched: a load realigns leaves that have a whole leaf on both sides,
// and a store completes an aligned piece from the leaf of the lane below. In place a load may cover
// up to 15 bytes of a neighbour's leaf while its thread stores them: they are shifted out, whatever
// they were, and no store touches a byte that is not its own.
#ifndef RMSJIT_REALIGN_CUH
#define RMSJIT_REALIGN_CUH

#include "numeric.cuh"

namespace rmsjit {

template <int kOut>
RMSJIT_DEVICE void funnel_words(u32* to, const u32* from, u32 bits) {
  RMSJIT_UNROLL
  for (int i = 0; i < kOut; ++i) to[i] = funnel_shift_right(from[i], from[i + 1], bits);
}

// Drops the first `bytes` (even, < 16) of word[0 .. kOut + 3]; word[0 .. kOut - 1] is what follows.
// A row is shifted by one distance, so the branch is the same for a whole warp.
template <int kOut>
RMSJIT_DEVICE void drop_bytes(u32 (&word)[kOut + 4], u32 bytes) {
  const u32 bits = 8 * (bytes & 3u);
  switch (bytes / 4) {
    case 0:
      funnel_words<kOut>(word, word, bits);
      break;
    case 1:
      funnel_words<kOut>(word, word + 1, bits);
      break;
    case 2:
      funnel_words<kOut>(word, word + 2, bits);
      break;
    case 3:
      funnel_words<kOut>(word, word + 3, bits);
      break;
  }
}

// What is loaded of a leaf, before anything looks at it: the aligned pieces that hold it, or, at
// the row's ends, its elements one by one. The loads of many leaves are in flight before the first
// is shifted into place.
template <class L>
struct Pieces {
  using T = typename L::Type;
  u32 word[L::kWords + 4];

  RMSJIT_DEVICE void clear() {
    RMSJIT_UNROLL
    for (int i = 0; i < L::kWords + 4; ++i) word[i] = 0;
  }

  // Of the leaf at `at`, which has a whole leaf before and after it: up to 15 bytes of each.
  template <class... L2>
  RMSJIT_DEVICE void load_around(const typename T::Storage* at, L2... l2) {
    const u32 past = bytes_past_16(at);
    const auto* piece = reinterpret_cast<const Words<4>*>(at - past / T::kBytes);
    RMSJIT_UNROLL
    for (int i = 0; i < L::kWords; i += 4) load_piece(i, piece + i / 4, l2...);
    if (past != 0) load_piece(L::kWords, piece + L::kWords / 4, l2...);
  }

  template <int kCount>
  RMSJIT_DEVICE void load_elements(const typename T::Storage* at) {
    RMSJIT_UNROLL
    for (int i = 0; i < kCount; ++i) word[i] = load_element(at + i);
  }

  // The leaf at `at`. around: what load_around loaded, else elements.
  RMSJIT_DEVICE L leaf(const typename T::Storage* at, bool around) {
    L v;
    if (around) {
      drop_bytes<L::kWords>(word, bytes_past_16(at));
      RMSJIT_UNROLL
      for (int i = 0; i < L::kWords; ++i) v.word[i] = word[i];
    } else {
      RMSJIT_UNROLL
      for (int i = 0; i < L::kWords; ++i) {
        v.word[i] = T::kBytes == 4 ? word[i] : word[2 * i] | word[2 * i + 1] << 16;
      }
    }
    return v;
  }

 private:
  template <class... L2>
  RMSJIT_DEVICE void load_piece(int i, const Words<4>* piece, L2... l2) {
    const Words<4> v = load_words(piece, l2...);
    RMSJIT_UNROLL
    for (int j = 0; j < 4; ++j) word[i + j] = v.w[j];
  }
};

// What store_realigned needs of the leaf before; every lane of the warp calls it.
template <class L>
RMSJIT_DEVICE Words<4> last_words_of_lane_below(const L& leaf) {
  Words<4> before;
  RMSJIT_UNROLL
  for (int i = 0; i < 4; ++i) before.w[i] = shuffle_up(leaf.word[L::kWords - 4 + i]);
  return before;
}

// The last `bytes` (even, < 16) of an aligned piece, in the widest aligned stores.
template <class T>
RMSJIT_DEVICE void store_piece_end(char* piece, const u32* w, u32 bytes) {
  const bool eight = (bytes & 8u) != 0;
  if (eight) store_words(reinterpret_cast<Words<2>*>(piece + 8), Words<2>{w[2], w[3]});
  if ((bytes & 4u) != 0) {
    store_element(reinterpret_cast<u32*>(piece + (eight ? 4 : 12)), eight ? w[1] : w[3]);
  }
  if (T::kBytes == 2 && (bytes & 2u) != 0) {
    const u32 from = (bytes & 4u) != 0 ? (eight ? w[0] : w[2]) : (eight ? w[1] : w[3]);
    store_element(reinterpret_cast<u16*>(piece + 16 - bytes), from >> 16);
  }
}

// The first `bytes` (even, < 16) of an aligned piece.
template <class T>
RMSJIT_DEVICE void store_piece_begin(char* piece, const u32* w, u32 bytes) {
  const bool eight = (bytes & 8u) != 0;
  if (eight) store_words(reinterpret_cast<Words<2>*>(piece), Words<2>{w[0], w[1]});
  if ((bytes & 4u) != 0) {
    store_element(reinterpret_cast<u32*>(piece + (eight ? 8 : 0)), eight ? w[2] : w[0]);
  }
  if (T::kBytes == 2 && (bytes & 2u) != 0) {
    const u32 from = (bytes & 4u) != 0 ? (eight ? w[3] : w[1]) : (eight ? w[2] : w[0]);
    store_element(reinterpret_cast<u16*>(piece + (bytes & 12u)), from & 0xffffu);
  }
}

// Stores the whole leaf at `at`. `first`: the lane below holds no leaf of this row before it;
// `last`: the lane above holds no whole leaf after it.
template <class L>
RMSJIT_DEVICE void store_realigned(const L& leaf, const Words<4>& before,
                                   typename L::Type::Storage* at, bool first, bool last) {
  using T = typename L::Type;
  enum : int { kWords = L::kWords };
  const u32 past = bytes_past_16(at);
  if (past == 0) {
    store_leaf<true, L::kElements>(leaf, at);
    return;
  }
  u32 word[kWords + 8];
  RMSJIT_UNROLL
  for (int i = 0; i < 4; ++i) word[i] = before.w[i];
  RMSJIT_UNROLL
  for (int i = 0; i < kWords; ++i) word[i + 4] = leaf.word[i];
  RMSJIT_UNROLL
  for (int i = 0; i < 4; ++i) word[kWords + 4 + i] = 0;
  drop_bytes<kWords + 4>(word, 16 - past);
  char* piece = reinterpret_cast<char*>(at) - past;
  if (first) {
    store_piece_end<T>(piece, word, 16 - past);
  } else {
    store_words(reinterpret_cast<Words<4>*>(piece), Words<4>{word[0], word[1], word[2], word[3]});
  }
  if constexpr (kWords == 8) {
    store_words(reinterpret_cast<Words<4>*>(piece + 16),
                Words<4>{word[4], word[5], word[6], word[7]});
  }
  if (last) store_piece_begin<T>(piece + 4 * kWords, word + kWords, past);
}

}  // namespace rmsjit

#endif  // RMSJIT_REALIGN_CUH
