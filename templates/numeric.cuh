// SPDX-License-Identifier: Apache-2.0
// The element types, and Leaf: eight neighbouring elements of a row as they lie in memory. A leaf
// is the unit of everything: one thread's load, one term of the fixed sum, one thread's store.
#ifndef RMSJIT_NUMERIC_CUH
#define RMSJIT_NUMERIC_CUH

#include "device.cuh"

namespace rmsjit {

constexpr int kLeafElements = 8;
constexpr int kWarpThreads = 32;

enum class AddRound { kRounded, kUnrounded, kStatsUnrounded };
enum class MulRound { kOnce, kTwice };

// A type knows how a 32-bit word holds its elements, low address first.
struct bf16_t {
  using Storage = u16;
  static constexpr int kBytes = 2;
  template <int kHalf>
  static RMSJIT_DEVICE float widen(u32 word) {
    return float_from_bits(kHalf == 0 ? word << 16 : word & 0xffff0000u);
  }
  static RMSJIT_DEVICE u32 narrow(float low, float high) { return bf16x2_from_floats(low, high); }
};

struct f16_t {
  using Storage = u16;
  static constexpr int kBytes = 2;
  template <int kHalf>
  static RMSJIT_DEVICE float widen(u32 word) {
    return float_from_f16(kHalf == 0 ? word & 0xffffu : word >> 16);
  }
  static RMSJIT_DEVICE u32 narrow(float low, float high) { return f16x2_from_floats(low, high); }
};

struct f32_t {
  using Storage = u32;
  static constexpr int kBytes = 4;
};

// The weight of a weightless norm: never loaded.
struct none_t {
  using Storage = u16;
  static constexpr int kBytes = 2;
};

template <bool kFirst, class A, class B>
struct PickType {
  using type = A;
};
template <class A, class B>
struct PickType<false, A, B> {
  using type = B;
};

template <class T>
struct Leaf {
  static constexpr int kWords = kLeafElements * T::kBytes / 4;
  u32 word[kWords];

  RMSJIT_DEVICE void widen(float (&v)[kLeafElements]) const {
    RMSJIT_UNROLL
    for (int i = 0; i < kLeafElements; i += 2) {
      if constexpr (T::kBytes == 4) {
        v[i] = float_from_bits(word[i]);
        v[i + 1] = float_from_bits(word[i + 1]);
      } else {
        v[i] = T::template widen<0>(word[i / 2]);
        v[i + 1] = T::template widen<1>(word[i / 2]);
      }
    }
  }

  // Rounds to nearest even.
  RMSJIT_DEVICE void narrow(const float (&v)[kLeafElements]) {
    RMSJIT_UNROLL
    for (int i = 0; i < kLeafElements; i += 2) {
      if constexpr (T::kBytes == 4) {
        word[i] = bits_from_float(v[i]);
        word[i + 1] = bits_from_float(v[i + 1]);
      } else {
        word[i / 2] = T::narrow(v[i], v[i + 1]);
      }
    }
  }

  RMSJIT_DEVICE void clear() {
    RMSJIT_UNROLL
    for (int i = 0; i < kWords; ++i) word[i] = 0;
  }
};

// What a thread keeps of h between the sum and the output.
template <class Spec>
using HeldType = typename PickType<
    Spec::kResidual,
    typename PickType<Spec::kAddRound == AddRound::kUnrounded, f32_t, typename Spec::R>::type,
    typename Spec::X>::type;

// Loads the first `count` elements of leaf `index` of a row; the rest are +0. kPacked: the row is
// aligned to 16 bytes, so that a whole leaf is one or two 16-byte accesses. count is a constant
// once this is inlined, so that only one of the two branches is left.
template <class T, Load kLoad, bool kPacked>
RMSJIT_DEVICE void load_leaf(Leaf<T>& leaf, const typename T::Storage* row, int index, int count) {
  const typename T::Storage* at = row + index * kLeafElements;
  if (kPacked && count == kLeafElements) {
    RMSJIT_UNROLL
    for (int i = 0; i < Leaf<T>::kWords; i += 4) {
      const Words<4> v =
          load_words<kLoad>(reinterpret_cast<const Words<4>*>(at + i * 4 / T::kBytes));
      RMSJIT_UNROLL
      for (int j = 0; j < 4; ++j) leaf.word[i + j] = v.w[j];
    }
    return;
  }
  leaf.clear();
  RMSJIT_UNROLL
  for (int i = 0; i < kLeafElements; ++i) {
    if (i >= count) break;
    if constexpr (T::kBytes == 4) {
      leaf.word[i] = load_u32<kLoad>(at + i);
    } else {
      leaf.word[i / 2] |= load_u16<kLoad>(at + i) << (16 * (i % 2));
    }
  }
}

template <class T, bool kPacked>
RMSJIT_DEVICE void store_leaf(const Leaf<T>& leaf, typename T::Storage* row, int index, int count) {
  typename T::Storage* at = row + index * kLeafElements;
  if (kPacked && count == kLeafElements) {
    RMSJIT_UNROLL
    for (int i = 0; i < Leaf<T>::kWords; i += 4) {
      Words<4> v;
      RMSJIT_UNROLL
      for (int j = 0; j < 4; ++j) v.w[j] = leaf.word[i + j];
      store_words(reinterpret_cast<Words<4>*>(at + i * 4 / T::kBytes), v);
    }
    return;
  }
  RMSJIT_UNROLL
  for (int i = 0; i < kLeafElements; ++i) {
    if (i >= count) break;
    if constexpr (T::kBytes == 4) {
      store_u32(at + i, leaf.word[i]);
    } else {
      store_u16(at + i, (leaf.word[i / 2] >> (16 * (i % 2))) & 0xffffu);
    }
  }
}

}  // namespace rmsjit

#endif  // RMSJIT_NUMERIC_CUH
