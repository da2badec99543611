// SPDX-License-Identifier: Apache-2.0
// usual_launch.h takes nearly every call; read_tensors the others. Only two tensors whose byte
// ranges meet (slices of one buffer) pay for divisions.
#include "runtime/launch_args.h"

#include <algorithm>
#include <cfloat>
#include <utility>

#include "runtime/launch_errors.h"
#include "runtime/launch_tensors.h"
#include "runtime/usual_launch.h"

namespace rmsjit {
namespace {

constexpr uintptr_t kPackBytes = 16;

// Whether the packed entries can have it: their addresses are multiples of 16 bytes, their strides
// have 32 bits, and no row of a last block has a number of more.
bool is_packed(const Spans& spans, const Extent& extent) {
  uintptr_t bits = 0;
  int64_t strides = 0;
  for (int i = 0; i < spans.count; ++i) {
    const Span& span = spans.list[i];
    strides |= span.token_stride | span.head_stride;
    bits |= span.begin;
  }
  bits |= static_cast<uintptr_t>(strides);
  return bits % kPackBytes == 0 && strides <= UINT32_MAX && extent.tokens <= INT32_MAX;
}

bool count_rows(const LaunchFacts& facts, const rmsjit_args& args, Extent& extent, int64_t& rows) {
  extent = {args.tokens, facts.has_heads ? args.heads : 1};
  return (extent.tokens | extent.heads) >= 0 &&
         !__builtin_mul_overflow(extent.tokens, extent.heads, &rows);
}

int64_t most_heads(const LaunchFacts& facts) { return LaunchGrid::kMostX / facts.tuning.cluster; }

// For the message: how many rows of this many heads a grid has room for. Requires heads within
// most_heads.
int64_t most_rows(const LaunchFacts& facts, int64_t heads) {
  return most_heads(facts) * (facts.has_heads ? heads : facts.tuning.max_rows_per_block);
}

Status bad_counts(const LaunchFacts& facts, const Extent& extent) {
  if (extent.tokens < 0) return errors::count_negative("tokens", extent.tokens);
  if (extent.heads < 0) return errors::count_negative("heads", extent.heads);
  if (extent.heads > most_heads(facts)) {
    return errors::heads_too_many(extent.heads, most_heads(facts));
  }
  return errors::rows_too_many(extent.tokens, extent.heads, most_rows(facts, extent.heads));
}

// For more tokens than gridDim.y has room for: nothing tells tokens and heads apart but the names.
Extent exchange_tokens_and_heads(const Extent& extent, RmsNormParams& params) {
  const auto exchange = [](auto& half) {
    std::swap(half.x_token_stride, half.x_head_stride);
    std::swap(half.y_token_stride, half.y_head_stride);
    std::swap(half.residual_token_stride, half.residual_head_stride);
    std::swap(half.residual_out_token_stride, half.residual_out_head_stride);
  };
  exchange(params);
  exchange(params.upper);
  return {extent.heads, extent.tokens};
}

// Everything of the block but entry, pointers, strides and eps; false: more blocks than a grid has.
// Requires block.entry.
bool fill_grid(const LaunchFacts& facts, Extent extent, int64_t rows, LaunchBlock& block) {
  const Schedule& schedule = schedule_of(facts.tuning, block.entry);
  const int cluster = schedule.cluster;
  int per_block = rows_per_block(schedule, facts.has_heads, rows, facts.multiprocessors);
  block.grid = launch_grid(cluster, facts.has_heads, extent.tokens, extent.heads, per_block);
  if (facts.has_heads && !block.grid.fits) {
    extent = exchange_tokens_and_heads(extent, block.params);
    // An odd number of heads puts one into a block: no more rows than that are worth a thread.
    while (per_block / 2 >= std::max<int64_t>(extent.tokens, schedule.min_rows_per_block())) {
      per_block /= 2;
    }
    block.grid = launch_grid(cluster, facts.has_heads, extent.tokens, extent.heads, per_block);
  }
  RmsNormParams& params = block.params;
  put_halves(static_cast<uint64_t>(extent.tokens), params.tokens, params.upper.tokens);
  if (facts.has_heads) {
    put_heads(block.grid, params);
  } else {
    params.input_policy = facts.input_policy(rows);
  }
  return block.grid.fits;
}

Status read_carefully(const LaunchFacts& facts, const Extent& extent, const rmsjit_args& args,
                      int64_t rows, LaunchBlock& block) {
  if (extent.heads > most_heads(facts)) return bad_counts(facts, extent);
  Spans spans;
  Status error;
  if (!read_tensors(facts, extent, args, spans, block.params, error)) return error;
  block.entry = choose_entry(facts, rows, is_packed(spans, extent));
  if (fill_grid(facts, extent, rows, block)) return {};
  if (facts.has_heads && std::min(extent.tokens, extent.heads) > LaunchGrid::kMostY) {
    return errors::tokens_and_heads_too_many(extent.tokens, extent.heads, LaunchGrid::kMostY);
  }
  return errors::rows_too_many(extent.tokens, extent.heads, most_rows(facts, extent.heads));
}

}  // namespace

LaunchFacts::LaunchFacts(const NormSpec& spec, const Tuning& tuning_, const Target& target,
                         int multiprocessors_)
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
      rows_in_l2(rmsjit::rows_in_l2(spec, target)),
      extras_are_packed(takes_packed(spec, tuning_, KernelEntry::kMany)),
      few_rows(rmsjit::few_rows(tuning_.few, multiprocessors_)),
      many_rows(rmsjit::many_rows(tuning_.many, multiprocessors_)),
      misaligned(
          static_cast<uint32_t>(std::max({x_bytes, weight_bytes, residual_bytes, y_bytes}) - 1)),
      tuning(tuning_) {
  for (int i = 0; i < kKernelEntries; ++i) {
    const auto entry = static_cast<KernelEntry>(i);
    if (!has_entry(tuning, entry)) continue;
    dynamic_shared_bytes[i] =
        static_cast<uint32_t>(rmsjit::dynamic_shared_bytes(spec, schedule_of(tuning, entry)));
  }
}

Status make_launch_block(const LaunchFacts& facts, const rmsjit_args& args, LaunchBlock& block) {
  Extent extent;
  int64_t rows = 0;
  block.grid.x = 0;
  if (!count_rows(facts, args, extent, rows)) return bad_counts(facts, extent);
  if (rows == 0) return {};
  if (!(args.eps >= 0 && args.eps <= FLT_MAX)) return errors::eps_not_allowed(args.eps);
  if (args.reserved != 0) return errors::reserved_not_zero(args.reserved);
  block.params.eps = args.eps;
  return read_carefully(facts, extent, args, rows, block);
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
