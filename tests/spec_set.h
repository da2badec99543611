// SPDX-License-Identifier: Apache-2.0
// The specs that tests run over: a pairwise covering set. For every two fields, every two values
// that can stand together in a canonical spec stand together in at least one of these, hidden sizes
// included, with far fewer specs than the cross product. Deterministic.
#ifndef RMSJIT_TESTS_SPEC_SET_H_
#define RMSJIT_TESTS_SPEC_SET_H_

#include <cstdint>
#include <span>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"

namespace rmsjit {

// Odd, prime, around a leaf of eight and around powers of two; what models use.
inline constexpr int64_t kCoveredHidden[] = {1,   2,   3,   7,    8,    9,    31,   64,   111,
                                             128, 257, 769, 1000, 1023, 2880, 4096, 5125, 8192};
// Long rows, each once.
inline constexpr int64_t kLongHidden[] = {16384, 32771, 65536, 131071, 262144};

// Canonical for target: the covering set over kCoveredHidden, then a spec for each kLongHidden.
std::vector<NormSpec> covering_specs(const Target& target);

// How many pairs can be covered, and how many of them `specs` leave out; for the set's own test.
struct PairCount {
  int feasible;
  int missing;
};
PairCount count_pairs(std::span<const NormSpec> specs, const Target& target);

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_SPEC_SET_H_
