// SPDX-License-Identifier: Apache-2.0
// The element types, and Leaf: neighbouring elements of a row as they lie in memory. A leaf is the
// unit of everything: one thread's load, what it adds to the sum, its store. Spec::kLeaf says how
// many: eight, or four where everything is f32, so that a leaf is one access of 16 bytes.
#ifndef RMSJIT_NUMERIC_CUH
#define RMSJIT_NUMERIC_CUH

#include "device.cuh"

namespace rmsjit {

// Constants are enumerators throughout: NVRTC turns each constexpr variable into a global of the
// image, and an image with globals takes the driver ten times as long to load.
enum : int { kWarpThreads = 32 };

// Two neighbouring elements, the unit of conversion.
struct Pair {
  float low, high;
};

// A type knows how a 32-bit word holds its elements, low address first. narrow rounds to nearest
// even.
struct bf16_t {
  using Storage = u16;
  enum : int { kBytes = 2 };
  static RMSJIT_DEVICE Pair widen(u32 word) {
    return {float_from_bits(word << 16), float_from_bits(word & 0xffff0000u)};
  }
  static RMSJIT_DEVICE u32 narrow(Pair v) { return bf16x2_from_floats(v.low, v.high); }
};

struct f16_t {
  using Storage = u16;
  enum : int { kBytes = 2 };
  static RMSJIT_DEVICE Pair widen(u32 word) {
    return {float_from_f16(word & 0xffffu), float_from_f16(word >> 16)};
  }
  static RMSJIT_DEVICE u32 narrow(Pair v) { return f16x2_from_floats(v.low, v.high); }
};

struct f32_t {
  using Storage = u32;
  enum : int { kBytes = 4 };
};

// The weight of a weightless norm: never loaded.
struct none_t {
  using Storage = u16;
  enum : int { kBytes = 2 };
};

template <bool kFirst, class A, class B>
struct PickType {
  using type = A;
};
template <class A, class B>
struct PickType<false, A, B> {
  using type = B;
};

template <class T, int kCount>
struct Leaf {
  using Type = T;
  enum : int { kElements = kCount, kPairs = kCount / 2, kWords = kCount * int{T::kBytes} / 4 };
  u32 word[kWords];

  RMSJIT_DEVICE Pair pair(int i) const {
    if constexpr (T::kBytes == 4) {
      return {float_from_bits(word[2 * i]), float_from_bits(word[2 * i + 1])};
    } else {
      return T::widen(word[i]);
    }
  }

  RMSJIT_DEVICE void set_pair(int i, Pair v) {
    if constexpr (T::kBytes == 4) {
      word[2 * i] = bits_from_float(v.low);
      word[2 * i + 1] = bits_from_float(v.high);
    } else {
      word[i] = T::narrow(v);
    }
  }

  // Four words from word i on.
  RMSJIT_DEVICE Words<4> quad(int i) const {
    return {word[i], word[i + 1], word[i + 2], word[i + 3]};
  }
  RMSJIT_DEVICE void set_quad(int i, const Words<4>& v) {
    word[i] = v.w[0];
    word[i + 1] = v.w[1];
    word[i + 2] = v.w[2];
    word[i + 3] = v.w[3];
  }

  RMSJIT_DEVICE void clear() {
    RMSJIT_UNROLL
    for (int i = 0; i < kWords; ++i) word[i] = 0;
  }
};

template <class Spec, class T>
using LeafOf = Leaf<T, Spec::kLeaf>;

// What a thread keeps of h between the sum and the output.
template <class Spec>
using HeldLeaf =
    LeafOf<Spec,
           typename PickType<Spec::kResidual,
                             typename PickType<Spec::kOutputRounded, typename Spec::R, f32_t>::type,
                             typename Spec::X>::type>;

// Loads the first kCount elements of the leaf at `at`; the rest are +0. kPacked: `at` is a multiple
// of 16 bytes, so that a whole leaf is one or two 16-byte accesses. l2: nothing, or an L2Policy for
// those.
template <bool kPacked, int kCount, class T, int kN, class... L2>
RMSJIT_DEVICE void load_leaf(Leaf<T, kN>& leaf, const typename T::Storage* at, L2... l2) {
  if constexpr (kPacked && kCount == kN) {
    RMSJIT_UNROLL
    for (int i = 0; i < leaf.kWords; i += 4) {
      const auto* piece = reinterpret_cast<const Words<4>*>(at + i * 4 / T::kBytes);
      leaf.set_quad(i, load_words(piece, l2...));
    }
  } else {
    enum : int { kEach = 4 / T::kBytes };  // elements a word
    RMSJIT_UNROLL
    for (int i = 0; i < leaf.kWords; ++i) {
      leaf.word[i] = i * kEach < kCount ? load_element(at + i * kEach) : 0;
      if constexpr (kEach == 2) {
        if (i * 2 + 1 < kCount) leaf.word[i] |= load_element(at + i * 2 + 1) << 16;
      }
    }
  }
}

// Stores the first kCount elements.
template <bool kPacked, int kCount, class T, int kN>
RMSJIT_DEVICE void store_leaf(const Leaf<T, kN>& leaf, typename T::Storage* at) {
  if constexpr (kPacked && kCount == kN) {
    RMSJIT_UNROLL
    for (int i = 0; i < leaf.kWords; i += 4) {
      store_words(reinterpret_cast<Words<4>*>(at + i * 4 / T::kBytes), leaf.quad(i));
    }
  } else {
    enum : int { kEach = 4 / T::kBytes };
    RMSJIT_UNROLL
    for (int i = 0; i < leaf.kWords; ++i) {
      if (i * kEach < kCount) store_element(at + i * kEach, leaf.word[i]);
      if constexpr (kEach == 2) {
        if (i * 2 + 1 < kCount) store_element(at + i * 2 + 1, leaf.word[i] >> 16);
      }
    }
  }
}

}  // namespace rmsjit

#endif  // RMSJIT_NUMERIC_CUH
