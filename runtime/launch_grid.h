// SPDX-License-Identifier: Apache-2.0
// How the rows of a launch are dealt to blocks; templates/row_map.cuh (place_of_row) reads it back.
// Never changes bits.
#ifndef RMSJIT_LAUNCH_GRID_H_
#define RMSJIT_LAUNCH_GRID_H_

#include <bit>
#include <cstdint>

#include "templates/render_spec.h"
#include "templates/rmsnorm_params.h"

namespace rmsjit {

struct LaunchGrid {
  static constexpr int64_t kMostX = 0x7fffffff;  // gridDim.x
  static constexpr int64_t kMostY = 0xffff;      // gridDim.y

  uint32_t x = 0, y = 1;     // blocks
  uint32_t rows = 1;         // of a block: blockDim.y
  uint32_t heads_shift = 0;  // for RmsNormParams
  bool fits = true;          // no device has more blocks than kMostX, kMostY

  uint32_t tokens() const { return rows >> heads_shift; }  // of a block
};

// blockDim.y for a launch. Without heads it is what the kernel was compiled for. With heads blocks
// are full when there are rows for every multiprocessor, else of fewer rows, down to four warps, so
// that a small batch spreads over the GPU.
inline int rows_per_block(const Schedule& schedule, bool has_heads, int64_t rows,
                          int multiprocessors) {
  constexpr int kFewestThreads = 128;
  int count = schedule.max_rows_per_block;
  if (!has_heads) return count;
  while (count / 2 * schedule.threads_per_row >= kFewestThreads &&
         rows < static_cast<int64_t>(count) * multiprocessors) {
    count /= 2;
  }
  return count;
}

// The row counts of the launches that take an entry of its own, where the device has room for it:
// from `first` on `count` of them.
struct RowCounts {
  uint32_t first = 0, count = 0;
  bool take(int64_t rows) const { return static_cast<uint64_t>(rows) - first < count; }
};
inline RowCounts few_rows(const Tuning::Extra& few, int multiprocessors) {
  if (!few) return {};
  return {0, static_cast<uint32_t>(few.bound * multiprocessors / (2 * few.cluster) + 1)};
}
inline RowCounts many_rows(const Tuning::Extra& many, int multiprocessors) {
  if (!many) return {};
  const int64_t first = int64_t{many.bound} * multiprocessors;
  const int64_t most = LaunchGrid::kMostX / many.cluster;
  const int64_t end = many.end == 0 ? most + 1 : int64_t{many.end} * multiprocessors;
  return {static_cast<uint32_t>(first), static_cast<uint32_t>(end - first)};
}

// Requires: tokens, heads > 0; heads is 1 without has_heads.
[[gnu::always_inline]] inline LaunchGrid launch_grid(int cluster, bool has_heads, int64_t tokens,
                                                     int64_t heads, int rows_per_block) {
  // A 64-bit division costs several times one of 32 bits, and that several times the rest.
  const auto divide_up = [](int64_t count, uint32_t by) -> int64_t {
    if (by == 1) return count;
    if (count <= INT32_MAX) [[likely]] {
      return (static_cast<uint32_t>(count) + by - 1) / by;
    }
    return count / by + (count % by != 0);
  };
  LaunchGrid grid;
  grid.rows = static_cast<uint32_t>(rows_per_block);
  int64_t x;
  if (!has_heads) {
    x = divide_up(tokens, grid.rows) * cluster;
  } else {
    // The largest power of two that divides both.
    grid.heads_shift = static_cast<uint32_t>(
        std::countr_zero(static_cast<uint64_t>(heads) | static_cast<uint64_t>(grid.rows)));
    x = (heads >> grid.heads_shift) * cluster;
    const int64_t y = divide_up(tokens, grid.tokens());
    grid.y = static_cast<uint32_t>(y);
    grid.fits = y <= LaunchGrid::kMostY && heads <= LaunchGrid::kMostX;
  }
  grid.x = static_cast<uint32_t>(x);
  grid.fits &= x <= LaunchGrid::kMostX;
  return grid;
}

inline void put_heads(const LaunchGrid& grid, RmsNormParams& params) {
  params.heads.shift = static_cast<unsigned short>(grid.heads_shift);
  params.heads.block_tokens = static_cast<unsigned short>(grid.tokens());
}

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_GRID_H_
