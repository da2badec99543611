// SPDX-License-Identifier: Apache-2.0
// usual_launch.h takes nearly every call; read_tensors the others. Only two tensors whose byte
// ranges meet (slices of one buffer) pay for divisions.
#include "runtime/launch_args.h"

#include <cfloat>

#include "runtime/launch_errors.h"
#include "runtime/launch_plan.h"
#include "runtime/launch_tensors.h"
#include "runtime/usual_launch.h"

namespace rmsjit {
namespace {

constexpr int64_t kMostBlocks = 0x7fffffff;  // gridDim.x
constexpr uintptr_t kPackBytes = 16;

inline bool is_packed(const Spans& spans) {
  uintptr_t bits = 0;
  for (int i = 0; i < spans.count; ++i) {
    const Span& span = spans.list[i];
    bits |= span.begin | static_cast<uintptr_t>(span.token_stride | span.head_stride);
  }
  return bits % kPackBytes == 0;
}

inline bool count_rows(const LaunchFacts& facts, const rmsjit_args& args, Extent& extent,
                       int64_t& rows) {
  extent = {args.tokens, facts.has_heads ? args.heads : 1};
  return (extent.tokens | extent.heads) >= 0 &&
         !__builtin_mul_overflow(extent.tokens, extent.heads, &rows);
}

Status bad_counts(const LaunchFacts& facts, const Extent& extent) {
  if (extent.tokens < 0) return errors::count_negative("tokens", extent.tokens);
  if (extent.heads < 0) return errors::count_negative("heads", extent.heads);
  return errors::rows_too_many(
      extent.tokens, extent.heads,
      kMostBlocks / facts.tuning.cluster * facts.tuning.max_rows_per_block);
}

// A 64-bit division costs several times one of 32 bits, and one of 32 several times the rest.
inline int64_t divide_up(int64_t rows, int per_block) {
  if (per_block == 1) return rows;
  if (rows <= UsualLaunch::kMostRows) [[likely]] {
    return (static_cast<uint32_t>(rows) + static_cast<uint32_t>(per_block) - 1) /
           static_cast<uint32_t>(per_block);
  }
  return rows / per_block + (rows % per_block != 0);
}

// Everything of the block but pointers, strides and eps; false: more blocks than a grid has.
inline bool fill_grid(const LaunchFacts& facts, const Extent& extent, int64_t rows,
                      LaunchBlock& block) {
  const int per_block = rows_per_block(facts.tuning, rows, facts.multiprocessors);
  const int64_t blocks = divide_up(rows, per_block) * facts.tuning.cluster;
  block.params.rows = rows;
  block.params.heads = static_cast<unsigned>(extent.heads);
  if (facts.has_heads) block.params.heads_reciprocal = UINT64_MAX / block.params.heads;
  block.grid_x = static_cast<uint32_t>(blocks);
  block.block_x = static_cast<uint32_t>(facts.tuning.threads_per_row);
  block.block_y = static_cast<uint32_t>(per_block);
  return blocks <= kMostBlocks;
}

[[gnu::cold, gnu::noinline]] Status read_carefully(const LaunchFacts& facts, const Extent& extent,
                                                   const rmsjit_args& args, int64_t rows,
                                                   LaunchBlock& block) {
  if (extent.heads > UINT32_MAX) return errors::heads_too_many(extent.heads);
  Spans spans;
  Status error;
  if (!read_tensors(facts, extent, args, spans, block.params, error)) return error;
  block.packed = is_packed(spans);
  if (fill_grid(facts, extent, rows, block)) return {};
  return errors::rows_too_many(extent.tokens, extent.heads,
                               kMostBlocks / facts.tuning.cluster * int64_t{block.block_y});
}

}  // namespace

LaunchFacts::LaunchFacts(const NormSpec& spec, const Tuning& tuning_, int multiprocessors_)
    : hidden(spec.hidden),
      x_bytes(static_cast<int32_t>(dtype_bytes(spec.x_dtype()))),
      weight_bytes(static_cast<int32_t>(dtype_bytes(spec.weight_dtype()))),
      residual_bytes(spec.has_residual()
                         ? static_cast<int32_t>(dtype_bytes(spec.residual_dtype_resolved()))
                         : 0),
      y_bytes(static_cast<int32_t>(dtype_bytes(spec.y_dtype()))),
      has_heads(spec.layout == Layout::kHeads),
      y_in_place(spec.y_placement == YPlacement::kInPlace),
      residual_in_place(spec.residual_placement == ResidualPlacement::kInPlace),
      pdl(spec.pdl == Pdl::kOn),
      multiprocessors(multiprocessors_),
      dynamic_shared_bytes(static_cast<uint32_t>(rmsjit::dynamic_shared_bytes(spec, tuning_))),
      tuning(tuning_) {}

Status make_launch_block(const LaunchFacts& facts, const rmsjit_args& args, LaunchBlock& block) {
  Extent extent;
  int64_t rows = 0;
  block.grid_x = 0;
  if (!count_rows(facts, args, extent, rows)) [[unlikely]]
    return bad_counts(facts, extent);
  if (rows == 0) return {};
  if (!(args.eps >= 0 && args.eps <= FLT_MAX)) [[unlikely]]
    return errors::eps_not_allowed(args.eps);
  if (args.reserved != 0) [[unlikely]]
    return errors::reserved_not_zero(args.reserved);
  if (UsualLaunch usual(facts, extent); rows <= UsualLaunch::kMostRows &&
                                        usual.read(args, block.params) &&
                                        fill_grid(facts, extent, rows, block)) [[likely]] {
    block.packed = usual.packed();
  } else {
    RMSJIT_RETURN_IF_ERROR(read_carefully(facts, extent, args, rows, block));
  }
  block.params.eps = args.eps;
  return {};
}

Result<bool> asks_for_nothing(Layout layout, const rmsjit_args& args) {
  LaunchFacts facts;
  facts.has_heads = layout == Layout::kHeads;
  Extent extent;
  int64_t rows = 0;
  if (!count_rows(facts, args, extent, rows)) return bad_counts(facts, extent);
  return rows == 0;
}

}  // namespace rmsjit
