// SPDX-License-Identifier: Apache-2.0
// The host twin of templates/device.cuh: the same guard and the same names, so that a file which
// includes this one first compiles the kernel template unchanged for the CPU. Memory, shuffles,
// barriers and PDL go through the emulator's checks; conversions are the PTX ones in integers.
#ifndef RMSJIT_DEVICE_CUH
#define RMSJIT_DEVICE_CUH

#include <cmath>

#include "tests/emulate/hooks.h"

#define RMSJIT_DEVICE inline
#define RMSJIT_UNROLL
#define RMSJIT_NO_UNROLL

namespace rmsjit {

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

template <int N>
struct alignas(4 * N) Words {
  u32 w[N];
};

// --- where this thread is ---
RMSJIT_DEVICE u32 thread_x() { return emulate::position().thread_x; }
RMSJIT_DEVICE u32 thread_y() { return emulate::position().thread_y; }
RMSJIT_DEVICE u32 block_x() { return emulate::position().block_x; }
RMSJIT_DEVICE u32 block_y() { return emulate::position().block_y; }

RMSJIT_DEVICE u32 bytes_past_16(const void* p) {
  return static_cast<u32>(reinterpret_cast<u64>(p)) & 15u;
}

// --- global memory: copied bytewise, because the buffers hold no objects of these types ---
template <class T>
RMSJIT_DEVICE T checked_load(const void* p) {
  T v;
  emulate::on_load(&v, p, sizeof(T));
  return v;
}
template <class T>
RMSJIT_DEVICE void checked_store(void* p, const T& v) {
  emulate::on_store(p, sizeof(T));
  __builtin_memcpy(p, &v, sizeof(T));
}

struct L2Policy {};
RMSJIT_DEVICE L2Policy l2_policy(u32) { return {}; }
RMSJIT_DEVICE Words<4> load_words(const Words<4>* p) { return checked_load<Words<4>>(p); }
RMSJIT_DEVICE Words<4> load_words(const Words<4>* p, L2Policy) { return load_words(p); }
RMSJIT_DEVICE u32 load_element(const u16* p) { return checked_load<u16>(p); }
RMSJIT_DEVICE u32 load_element(const u32* p) { return checked_load<u32>(p); }
// What it names has to be there; nothing else can be told of it.
RMSJIT_DEVICE void bring_into_l2(const void* p, u32 bytes) {
  const auto* first = static_cast<const Words<4>*>(p);
  if (bytes_past_16(p) != 0 || bytes == 0 || bytes % 16 != 0) __builtin_trap();
  load_words(first);
  load_words(first + bytes / 16 - 1);
}
RMSJIT_DEVICE void store_words(Words<4>* p, const Words<4>& v) { checked_store(p, v); }
RMSJIT_DEVICE void store_words(Words<2>* p, const Words<2>& v) { checked_store(p, v); }
RMSJIT_DEVICE void store_element(u16* p, u32 v) { checked_store(p, static_cast<u16>(v)); }
RMSJIT_DEVICE void store_element(u32* p, u32 v) { checked_store(p, v); }

// --- conversions: to nearest even; a NaN becomes the canonical NaN of the type ---
RMSJIT_DEVICE float float_from_bits(u32 bits) { return __builtin_bit_cast(float, bits); }
RMSJIT_DEVICE u32 bits_from_float(float v) { return __builtin_bit_cast(u32, v); }

RMSJIT_DEVICE float float_from_f16(u32 bits) {
  const u32 sign = (bits & 0x8000u) << 16;
  const u32 exponent = (bits >> 10) & 31u;
  const u32 fraction = bits & 0x3ffu;
  if (exponent == 31u) return float_from_bits(fraction != 0 ? 0x7fffffffu : sign | 0x7f800000u);
  if (exponent != 0) return float_from_bits(sign | ((exponent + 112u) << 23) | (fraction << 13));
  const float tiny = static_cast<float>(fraction) * 0x1p-24f;  // subnormal, exact
  return float_from_bits(sign | bits_from_float(tiny));
}

// value >> shift to nearest even; shift is 1 .. 31.
RMSJIT_DEVICE u32 shift_round_even(u32 value, u32 shift) {
  const u32 half_less_one = (1u << (shift - 1)) - 1;
  const u32 odd = (value >> shift) & 1u;
  return (value >> shift) + (((value & ((1u << shift) - 1)) + half_less_one + odd) >> shift);
}
RMSJIT_DEVICE u32 bf16_from_float(float v) {
  if (v != v) return 0x7fffu;
  return shift_round_even(bits_from_float(v), 16) & 0xffffu;
}
RMSJIT_DEVICE u32 f16_from_float(float v) {
  if (v != v) return 0x7fffu;
  const u32 bits = bits_from_float(v);
  const u32 sign = (bits >> 16) & 0x8000u;
  const u32 magnitude = bits & 0x7fffffffu;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and above round to infinity
  if (magnitude >= 0x38800000u) return sign | shift_round_even(magnitude - 0x38000000u, 13);
  if (magnitude < 0x33000000u) return sign;  // below half of the smallest subnormal
  const u32 significand = (magnitude & 0x7fffffu) | 0x800000u;
  return sign | shift_round_even(significand, 126u - (magnitude >> 23));
}
RMSJIT_DEVICE u32 bf16x2_from_floats(float low, float high) {
  return bf16_from_float(low) | (bf16_from_float(high) << 16);
}
RMSJIT_DEVICE u32 f16x2_from_floats(float low, float high) {
  return f16_from_float(low) | (f16_from_float(high) << 16);
}

RMSJIT_DEVICE u32 funnel_shift_right(u32 low, u32 high, u32 bits) {
  return static_cast<u32>(((static_cast<u64>(high) << 32) | low) >> (bits & 31u));
}

// --- arithmetic that has to be one instruction ---
RMSJIT_DEVICE float fused_multiply_add(float a, float b, float c) {
  return __builtin_fmaf(a, b, c);
}
// Correctly rounded: checked over all mantissas.
RMSJIT_DEVICE float rsqrt_exact(float v) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(v)));
}
// A device's approximation is within 2^-22.9 of this.
RMSJIT_DEVICE float rsqrt_fast(float v) { return rsqrt_exact(v); }
// A subnormal v counts as 0, as on a device.
RMSJIT_DEVICE float rsqrt_fast_of_normal(float v) {
  return rsqrt_exact(v < 0x1p-126f && v > -0x1p-126f ? 0.0f : v);
}

// --- warp and block; every thread of the block calls these, a shuffle and a warp's barrier whole
// warps at least, from the same place ---
RMSJIT_DEVICE float shuffle_xor(float v, int lane_mask, const char* file = __builtin_FILE(),
                                unsigned line = __builtin_LINE()) {
  return float_from_bits(emulate::on_shuffle_xor(bits_from_float(v), lane_mask, file, line));
}
RMSJIT_DEVICE u32 shuffle_up(u32 v, const char* file = __builtin_FILE(),
                             unsigned line = __builtin_LINE()) {
  return emulate::on_shuffle_up(v, file, line);
}
RMSJIT_DEVICE void warp_barrier(const char* file = __builtin_FILE(),
                                unsigned line = __builtin_LINE()) {
  emulate::on_warp_barrier(file, line);
}
RMSJIT_DEVICE void block_barrier(const char* file = __builtin_FILE(),
                                 unsigned line = __builtin_LINE()) {
  emulate::on_barrier(file, line);
}
template <class T>
RMSJIT_DEVICE T shared_load(const T* cell) {
  emulate::on_shared_load(cell, sizeof(T));
  return *cell;
}
template <class T>
RMSJIT_DEVICE void shared_store(T* cell, T v) {
  emulate::on_shared_store(cell, sizeof(T));
  *cell = v;
}

// --- a cluster of blocks ---
RMSJIT_DEVICE void cluster_arrive(const char* file = __builtin_FILE(),
                                  unsigned line = __builtin_LINE()) {
  emulate::on_cluster_arrive(file, line);
}
RMSJIT_DEVICE void cluster_wait(const char* file = __builtin_FILE(),
                                unsigned line = __builtin_LINE()) {
  emulate::on_cluster_wait(file, line);
}
RMSJIT_DEVICE void make_gate(u64* gate, u32 bytes) { emulate::on_make_gate(gate, bytes); }
RMSJIT_DEVICE void send_to_block(u32 block, float* cell, u64* gate, float v) {
  emulate::on_send(block, cell, gate, bits_from_float(v));
}
RMSJIT_DEVICE void wait_at_gate(const u64* gate, const char* file = __builtin_FILE(),
                                unsigned line = __builtin_LINE()) {
  emulate::on_wait_at_gate(gate, file, line);
}

// --- programmatic dependent launch ---
RMSJIT_DEVICE u64 computed(u64 v) { return v; }
RMSJIT_DEVICE float* computed(float* cell) { return cell; }
RMSJIT_DEVICE void compute_before(const void* pointer) {
  if (pointer == nullptr) __builtin_trap();
}
RMSJIT_DEVICE void pdl_wait() { emulate::on_pdl_wait(); }
RMSJIT_DEVICE void pdl_trigger() { emulate::on_pdl_trigger(); }

}  // namespace rmsjit

#endif  // RMSJIT_DEVICE_CUH
