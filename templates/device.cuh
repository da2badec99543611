// SPDX-License-Identifier: Apache-2.0
// Every PTX instruction and built-in that the kernel uses, and nothing that decides arithmetic.
// The CPU emulator replaces this one file (tests/emulate/device_host.h defines the same guard and
// the same names), so the rest of the template has no #ifdef. Includes nothing.
#ifndef RMSJIT_DEVICE_CUH
#define RMSJIT_DEVICE_CUH

#define RMSJIT_DEVICE __device__ __forceinline__
#define RMSJIT_UNROLL _Pragma("unroll")
#define RMSJIT_NO_UNROLL _Pragma("unroll 1")

namespace rmsjit {

using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

// N words of 32 bits moved by one instruction: N is 2 or 4, the address a multiple of 4N bytes.
template <int N>
struct alignas(4 * N) Words {
  u32 w[N];
};

// --- where this thread is ---
RMSJIT_DEVICE u32 thread_x() { return threadIdx.x; }
RMSJIT_DEVICE u32 thread_y() { return threadIdx.y; }
RMSJIT_DEVICE u32 block_x() { return blockIdx.x; }
RMSJIT_DEVICE u32 block_y() { return blockIdx.y; }

// How far an address is past a multiple of 16.
RMSJIT_DEVICE u32 bytes_past_16(const void* p) {
  return static_cast<u32>(reinterpret_cast<u64>(p)) & 15u;
}

// The same value, which the compiler computes here: it would do so next to its use.
RMSJIT_DEVICE u64 computed(u64 v) {
  asm volatile("" : "+l"(v));
  return v;
}
// The same of a cell of shared memory.
RMSJIT_DEVICE float* computed(float* cell) {
  u32 address = static_cast<u32>(__cvta_generic_to_shared(cell));
  asm volatile("" : "+r"(address));
  return static_cast<float*>(__cvta_shared_to_generic(address));
}

// --- global memory ---
// When L2 gives up what is loaded: what createpolicy makes, of which the lower half is 0.
struct L2Policy {
  u64 bits;
};
RMSJIT_DEVICE L2Policy l2_policy(u32 upper) { return {u64{upper} << 32}; }

// Loads are never of the read-only kind: under PDL, and in place, another kernel or this one writes
// what is read, and ptxas moves read-only loads behind the sum that they should overlap with.
RMSJIT_DEVICE Words<4> load_words(const Words<4>* p) {
  Words<4> v;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
               : "l"(p)
               : "memory");
  return v;
}
RMSJIT_DEVICE Words<4> load_words(const Words<4>* p, L2Policy l2) {
  Words<4> v;
  asm volatile("ld.global.L2::cache_hint.v4.u32 {%0, %1, %2, %3}, [%4], %5;"
               : "=r"(v.w[0]), "=r"(v.w[1]), "=r"(v.w[2]), "=r"(v.w[3])
               : "l"(p), "l"(l2.bits)
               : "memory");
  return v;
}
RMSJIT_DEVICE u32 load_element(const u16* p) {
  u16 v;
  asm volatile("ld.global.u16 %0, [%1];" : "=h"(v) : "l"(p) : "memory");
  return v;
}
RMSJIT_DEVICE u32 load_element(const u32* p) {
  u32 v;
  asm volatile("ld.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
// Brings so many bytes into L2, a multiple of 16, from a multiple of 16 on; one thread's call
// (sm_90 and newer).
RMSJIT_DEVICE void bring_into_l2(const void* p, u32 bytes) {
  asm volatile("cp.async.bulk.prefetch.L2.global [%0], %1;" ::"l"(p), "r"(bytes) : "memory");
}
RMSJIT_DEVICE void store_words(Words<4>* p, const Words<4>& v) {
  asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.w[0]), "r"(v.w[1]),
               "r"(v.w[2]), "r"(v.w[3])
               : "memory");
}
RMSJIT_DEVICE void store_words(Words<2>* p, const Words<2>& v) {
  asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(p), "r"(v.w[0]), "r"(v.w[1]) : "memory");
}
RMSJIT_DEVICE void store_element(u16* p, u32 v) {
  asm volatile("st.global.u16 [%0], %1;" ::"l"(p), "h"(static_cast<u16>(v)) : "memory");
}
RMSJIT_DEVICE void store_element(u32* p, u32 v) {
  asm volatile("st.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

// --- conversions: to nearest even; a NaN becomes the canonical NaN of the type ---
RMSJIT_DEVICE float float_from_bits(u32 bits) { return __uint_as_float(bits); }
RMSJIT_DEVICE u32 bits_from_float(float v) { return __float_as_uint(v); }
RMSJIT_DEVICE float float_from_f16(u32 bits) {
  float v;
  asm("cvt.f32.f16 %0, %1;" : "=f"(v) : "h"(static_cast<u16>(bits)));
  return v;
}
RMSJIT_DEVICE u32 bf16x2_from_floats(float low, float high) {
  u32 v;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
  return v;
}
RMSJIT_DEVICE u32 f16x2_from_floats(float low, float high) {
  u32 v;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(v) : "f"(high), "f"(low));
  return v;
}

// The low word of (high:low) >> bits, for bits < 32.
RMSJIT_DEVICE u32 funnel_shift_right(u32 low, u32 high, u32 bits) {
  return __funnelshift_r(low, high, bits);
}

// --- arithmetic that has to be one instruction ---
RMSJIT_DEVICE float fused_multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
// Volatile, so that it is not computed where reciprocal_rms takes the other.
RMSJIT_DEVICE float rsqrt_fast(float v) {
  float r;
  asm volatile("rsqrt.approx.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
// The same of a v that is no subnormal.
RMSJIT_DEVICE float rsqrt_fast_of_normal(float v) {
  float r;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(v));
  return r;
}
RMSJIT_DEVICE float rsqrt_exact(float v) { return __frsqrt_rn(v); }

// --- warp and block; every thread of the block calls these, a shuffle and a warp's barrier whole
// warps at least, from the same place ---
RMSJIT_DEVICE float shuffle_xor(float v, int lane_mask) {
  return __shfl_xor_sync(0xffffffffu, v, lane_mask);
}
// The value of the lane below; lane 0 gets its own.
RMSJIT_DEVICE u32 shuffle_up(u32 v) { return __shfl_up_sync(0xffffffffu, v, 1); }
RMSJIT_DEVICE void block_barrier() { __syncthreads(); }
RMSJIT_DEVICE void warp_barrier() { __syncwarp(); }
RMSJIT_DEVICE float shared_load(const float* cell) { return *cell; }
RMSJIT_DEVICE void shared_store(float* cell, float v) { *cell = v; }
RMSJIT_DEVICE Words<4> shared_load(const Words<4>* cell) { return *cell; }
RMSJIT_DEVICE void shared_store(Words<4>* cell, const Words<4>& v) { *cell = v; }

// --- a cluster of blocks (sm_90 and newer) ---
// Every thread of the cluster arrives and waits, warps whole. Relaxed: what the others are told by
// it, the gates, has a fence of its own; releasing would wait for all that the thread ever wrote.
RMSJIT_DEVICE void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
}
RMSJIT_DEVICE void cluster_wait() { asm volatile("barrier.cluster.wait.aligned;" ::: "memory"); }
// A gate (an mbarrier) of this block opens once `bytes` were sent to it. One thread makes it, and
// arrives after that.
RMSJIT_DEVICE void make_gate(u64* gate, u32 bytes) {
  asm volatile(
      "mbarrier.init.shared::cta.b64 [%0], 1;\n"
      "fence.mbarrier_init.release.cluster;\n"
      "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [%0], %1;" ::"r"(
          static_cast<u32>(__cvta_generic_to_shared(gate))),
      "r"(bytes)
      : "memory");
}
// Sends v into another block's cell and its gate: those that lie where this block's lie.
RMSJIT_DEVICE void send_to_block(u32 block, float* cell, u64* gate, float v) {
  asm volatile(
      "{ .reg .u32 to, at;\n"
      "mapa.shared::cluster.u32 to, %0, %2;\n"
      "mapa.shared::cluster.u32 at, %1, %2;\n"
      "st.async.shared::cluster.mbarrier::complete_tx::bytes.b32 [to], %3, [at]; }" ::"r"(
          static_cast<u32>(__cvta_generic_to_shared(cell))),
      "r"(static_cast<u32>(__cvta_generic_to_shared(gate))), "r"(block), "r"(__float_as_uint(v))
      : "memory");
}
RMSJIT_DEVICE void wait_at_gate(const u64* gate) {
  u32 open;
  do {
    asm volatile(
        "{ .reg .pred p;\n"
        "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], 0;\n"
        "selp.u32 %0, 1, 0, p; }"
        : "=r"(open)
        : "r"(static_cast<u32>(__cvta_generic_to_shared(gate)))
        : "memory");
  } while (open == 0);
}

// --- programmatic dependent launch (sm_90 and newer) ---
// Seen in the code of NVRTC 13: ptxas leaves before this what it moves behind every instruction
// that is no branch. Only speed depends on it. For a pointer that is never null.
RMSJIT_DEVICE void compute_before(const void* pointer) {
  asm volatile(
      "{ .reg .pred p;\n"
      "setp.eq.u64 p, %0, 0;\n"
      "@p trap; }" ::"l"(pointer)
      : "memory");
}
RMSJIT_DEVICE void pdl_wait() { asm volatile("griddepcontrol.wait;" ::: "memory"); }
RMSJIT_DEVICE void pdl_trigger() { asm volatile("griddepcontrol.launch_dependents;" ::: "memory"); }

}  // namespace rmsjit

#endif  // RMSJIT_DEVICE_CUH
