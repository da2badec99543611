// SPDX-License-Identifier: Apache-2.0
// SHA-256 of everything that is named or verified here: libsodium's, and on x86 with SHA extensions
// the processor's. libsodium has no such path and takes two thirds of a prepare from a bundle.
#include <sodium/crypto_hash_sha256.h>

#include <cstring>

#include "cache/cache_key.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace rmsjit {
namespace {

#if defined(__x86_64__)
#define RMSJIT_SHA __attribute__((target("sha,sse4.1")))

constexpr size_t kBlockBytes = 64;

bool cpu_has_sha() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __builtin_cpu_supports("sse4.1") && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 &&
         (b & (1U << 29)) != 0;
}

// FIPS 180-4, section 4.2.2.
alignas(16) constexpr uint32_t kRounds[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// The eight working variables, packed as the instructions want them, the first in the high lane.
struct State {
  __m128i abef = _mm_set_epi32(0x6a09e667, static_cast<int>(0xbb67ae85), 0x510e527f,
                               static_cast<int>(0x9b05688c));
  __m128i cdgh = _mm_set_epi32(0x3c6ef372, static_cast<int>(0xa54ff53a), 0x1f83d9ab, 0x5be0cd19);
};

RMSJIT_SHA void add_blocks(State& state, const unsigned char* from, size_t blocks) {
  const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  for (; blocks > 0; --blocks, from += kBlockBytes) {
    __m128i words[4];  // the last sixteen of the message schedule, four a register
    State s = state;
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      __m128i& now = words[i % 4];
      if (i < 4) {
        now = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from) + i);
        now = _mm_shuffle_epi8(now, big_endian);
      } else {
        const __m128i last = words[(i + 3) % 4];
        const __m128i earlier = _mm_alignr_epi8(last, words[(i + 2) % 4], 4);
        now = _mm_add_epi32(_mm_sha256msg1_epu32(now, words[(i + 1) % 4]), earlier);
        now = _mm_sha256msg2_epu32(now, last);
      }
      const __m128i rounds = _mm_load_si128(reinterpret_cast<const __m128i*>(kRounds) + i);
      const __m128i sum = _mm_add_epi32(now, rounds);
      s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
      s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(sum, 0x0e));
    }
    state.abef = _mm_add_epi32(state.abef, s.abef);
    state.cdgh = _mm_add_epi32(state.cdgh, s.cdgh);
  }
}

void put_big_endian(unsigned char* to, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    to[i] = static_cast<unsigned char>(value >> (8 * (bytes - 1 - i)));
}

Digest sha256_x86(std::string_view bytes) {
  State state;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const size_t whole = bytes.size() / kBlockBytes;
  const size_t left = bytes.size() % kBlockBytes;
  add_blocks(state, data, whole);
  unsigned char tail[2 * kBlockBytes] = {};
  if (left > 0) std::memcpy(tail, data + whole * kBlockBytes, left);
  tail[left] = 0x80;
  const size_t blocks = left + 9 > kBlockBytes ? 2 : 1;
  put_big_endian(tail + blocks * kBlockBytes - 8, 8 * uint64_t{bytes.size()}, 8);
  add_blocks(state, tail, blocks);
  uint32_t lane[8];  // f e b a h g d c
  std::memcpy(lane, &state, sizeof lane);
  Digest digest;
  const int order[8] = {3, 2, 7, 6, 1, 0, 5, 4};
  for (int i = 0; i < 8; ++i) put_big_endian(digest.bytes.data() + 4 * i, lane[order[i]], 4);
  return digest;
}
#endif

}  // namespace

Digest sha256(std::string_view bytes) {
#if defined(__x86_64__)
  static const bool fast = cpu_has_sha();
  if (fast) return sha256_x86(bytes);
#endif
  Digest digest;
  static_assert(crypto_hash_sha256_BYTES == sizeof digest.bytes);
  crypto_hash_sha256(digest.bytes.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  return digest;
}

}  // namespace rmsjit
