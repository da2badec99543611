// SPDX-License-Identifier: Apache-2.0
// The floors that tools/bench compares with: kernels that move a cell's bytes and do none of its
// arithmetic. Compiled on the device's machine by NVRTC, which is why nothing is included.
//   copy   16-byte loads, 4 a thread, 256 threads, x -> y (and residual -> h). Never retuned: it
//          is the yardstick between runs and machines.
//   floor  the same loads and stores as an RMSNorm with a row in registers: x, weight, residual in,
//          y and h out, no reduction; with kBarrier one block barrier stands before the stores.
//   landed the floor of whatever needs all of x and residual before its first store of y, as every
//          norm does: its barrier is a vote (a warp's, where a row is a warp's) on what came of
//          those loads. Of all ways to tell a row's
//          threads something it is the cheapest, and a sum is not in it.
// floor is built with -DPACKS (16-byte packs a row), -DADD (0 or 1), -DHEADS (0, or 1 for query and
// key norms, whose tokens lie apart in x) and -DTHREADS; the sum and the product are replaced by
// exclusive or, so that any bits are legal and every load is needed.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
#define PDL_WAIT() asm volatile("griddepcontrol.wait;" ::: "memory")
#define PDL_TRIGGER() asm volatile("griddepcontrol.launch_dependents;" ::: "memory")
#else
#define PDL_WAIT()
#define PDL_TRIGGER()
#endif

struct CopyParams {
  const uint4* x;
  uint4* y;
  const uint4* residual;  // null: one pair only
  uint4* h;
  long long packs;  // of one pair
  // strided: packs of one token in the output as a power of two, and its distance in the input
  int token_shift;
  long long x_token_packs;
};

template <bool kPdl, bool kStrided>
__device__ __forceinline__ void copy_body(const CopyParams& p) {
  const uint4* from = blockIdx.y == 0 ? p.x : p.residual;
  uint4* to = blockIdx.y == 0 ? p.y : p.h;
  const long long first = static_cast<long long>(blockIdx.x) * 1024 + threadIdx.x;
  uint4 pack[4];
  if (kPdl) PDL_WAIT();
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const long long at = first + 256 * i;
    long long source = at;
    if (kStrided) {
      const long long token = at >> p.token_shift;
      source = token * p.x_token_packs + (at - (token << p.token_shift));
    }
    if (at < p.packs) pack[i] = from[source];
  }
  if (kPdl) PDL_TRIGGER();
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const long long at = first + 256 * i;
    if (at < p.packs) to[at] = pack[i];
  }
}

#ifndef PACKS
extern "C" __global__ void __launch_bounds__(256) copy(CopyParams p) { copy_body<false, false>(p); }
extern "C" __global__ void __launch_bounds__(256) copy_pdl(CopyParams p) {
  copy_body<true, false>(p);
}
extern "C" __global__ void __launch_bounds__(256) copy_strided(CopyParams p) {
  copy_body<false, true>(p);
}
extern "C" __global__ void __launch_bounds__(256) copy_strided_pdl(CopyParams p) {
  copy_body<true, true>(p);
}
extern "C" __global__ void empty() {}
extern "C" __global__ void empty_pdl() {
  PDL_WAIT();
  PDL_TRIGGER();
}
#else

struct FloorParams {
  const uint4* x;
  const uint4* weight;
  const uint4* residual;
  uint4* h;
  uint4* y;
  long long rows;
  // HEADS: heads of a token as a power of two, and a token's distance in x
  int heads_shift;
  long long x_token_packs;
};

__host__ __device__ constexpr int power_of_two_at_least(int n) {
  int out = 1;
  while (out < n) out *= 2;
  return out;
}

constexpr int kLanes =
    power_of_two_at_least(PACKS) < THREADS ? power_of_two_at_least(PACKS) : THREADS;
constexpr int kRowsABlock = THREADS / kLanes;
constexpr int kSlots = (PACKS + kLanes - 1) / kLanes;
// A thread of a 1024-thread block has 64 registers; a longer row goes through them in groups.
constexpr int kMost = THREADS > 512 ? 4 : 8;
constexpr int kGroup = kSlots < kMost ? kSlots : kMost;

__device__ __forceinline__ uint4 mix(uint4 a, uint4 b) {
  return make_uint4(a.x ^ b.x, a.y ^ b.y, a.z ^ b.z, a.w ^ b.w);
}

template <int kCount>
__device__ __forceinline__ void load(uint4 (&to)[kCount], const uint4* from, int first, bool live) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    const int at = first + i * kLanes;
    to[i] = live && at < PACKS ? from[at] : make_uint4(0, 0, 0, 0);
  }
}

enum Wait { kNothing, kBarrier, kLanded };

// Every thread of the row waits here until the words of all of them are there. The vote is never
// won: 64 bits would have to be these.
__device__ __forceinline__ void wait_until_landed(unsigned a, unsigned b) {
  if (kLanes <= 32) {
    asm volatile(
        "{ .reg .pred p, q;\n"
        "setp.eq.u32 p, %0, 0x5bd1e995;\n"
        "setp.eq.and.u32 p, %1, 0x2f0b4d17, p;\n"
        "vote.sync.any.pred q, p, 0xffffffff;\n"
        "@q trap; }" ::"r"(a), "r"(b) : "memory");
  } else {
    asm volatile(
        "{ .reg .pred p, q;\n"
        "setp.eq.u32 p, %0, 0x5bd1e995;\n"
        "setp.eq.and.u32 p, %1, 0x2f0b4d17, p;\n"
        "barrier.cta.red.or.pred q, 0, p;\n"
        "@q trap; }" ::"r"(a), "r"(b) : "memory");
  }
}

template <Wait kWait, bool kPdl, bool kEarlyWeight>
__device__ __forceinline__ void floor_body(const FloorParams& p) {
  const int lane = threadIdx.x % kLanes;
  const long long row = static_cast<long long>(blockIdx.x) * kRowsABlock + threadIdx.x / kLanes;
  const bool live = row < p.rows;
  const long long base = row * PACKS;
  long long source = base;
  if (HEADS) {
    const long long token = row >> p.heads_shift;
    source = token * p.x_token_packs + (row - (token << p.heads_shift)) * PACKS;
  }
  uint4 x[kGroup], weight[kGroup], residual[kGroup];
  if (kEarlyWeight) load(weight, p.weight, lane, live);
  if (kPdl) PDL_WAIT();
  for (int group = 0; group < kSlots; group += kGroup) {
    const int first = lane + group * kLanes;
    load(x, p.x + source, first, live);
    if (ADD) load(residual, p.residual + base, first, live);
    if (!kEarlyWeight || group > 0) load(weight, p.weight, first, live);
    if (kPdl && group + kGroup >= kSlots) PDL_TRIGGER();
    if (kWait == kBarrier && group == 0) __syncthreads();
    unsigned a = 0, b = 0;
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      const int at = first + i * kLanes;
      if (ADD) {
        x[i] = mix(x[i], residual[i]);
        if (live && at < PACKS) p.h[base + at] = x[i];
      }
      a ^= x[i].x ^ x[i].z;
      b ^= x[i].y ^ x[i].w;
      if (kWait != kLanded && live && at < PACKS) p.y[base + at] = mix(x[i], weight[i]);
    }
    if (kWait != kLanded) continue;
    wait_until_landed(a, b);
#pragma unroll
    for (int i = 0; i < kGroup; ++i) {
      const int at = first + i * kLanes;
      if (live && at < PACKS) p.y[base + at] = mix(x[i], weight[i]);
    }
  }
}

#define FLOOR(name, wait, pdl, early)                                         \
  extern "C" __global__ void __launch_bounds__(THREADS) name(FloorParams p) { \
    floor_body<wait, pdl, early>(p);                                          \
  }
FLOOR(floor_off, kNothing, false, false)
FLOOR(floor_pdl, kNothing, true, false)
FLOOR(floor_pdl_early, kNothing, true, true)
FLOOR(barrier_off, kBarrier, false, false)
FLOOR(barrier_pdl, kBarrier, true, false)
FLOOR(barrier_pdl_early, kBarrier, true, true)
FLOOR(landed_off, kLanded, false, false)
FLOOR(landed_pdl, kLanded, true, false)
FLOOR(landed_pdl_early, kLanded, true, true)
#endif
