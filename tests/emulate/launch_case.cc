// SPDX-License-Identifier: Apache-2.0
#include "tests/emulate/launch_case.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "runtime/launch_grid.h"
#include "templates/rmsnorm_params.h"
#include "tests/emulate/guarded_tensor.h"
#include "tests/reference.h"

namespace rmsjit::emulate {
namespace {

TensorShape shape_of(const NormSpec& spec, const LaunchCase& c, bool packed, DType dtype,
                     const Memory& m) {
  const int64_t unit = packed ? 16 / dtype_bytes(dtype) : 1;
  const auto padded = [&](int64_t elements) { return (elements + unit - 1) / unit * unit; };
  TensorShape shape;
  shape.dtype = dtype;
  shape.tokens = c.tokens;
  shape.heads = c.heads;
  shape.hidden = spec.hidden;
  shape.offset_bytes = m.offset_bytes;
  if (m.heads_outside) {
    shape.stride.token = padded(spec.hidden + m.token_pad);
    shape.stride.head = padded(c.tokens * shape.stride.token + m.head_pad);
  } else {
    shape.stride.head = padded(spec.hidden + m.head_pad);
    shape.stride.token = padded(c.heads * shape.stride.head + m.token_pad);
  }
  if (c.tokens == 1) shape.stride.token = 0;
  if (c.heads == 1) shape.stride.head = 0;
  return shape;
}

// Of the tokens that are run, in a grid of single blocks.
LaunchGrid grid_of(const NormSpec& spec, const LaunchCase& c) {
  return launch_grid(1, spec.layout == Layout::kHeads, c.tokens, c.heads, c.rows_per_block);
}

// The tensors of one launch; in place, y is x and residual_out is residual.
class Tensors {
 public:
  Tensors(const KernelPlan& plan, const RowPool& pool, const LaunchCase& c)
      : spec_(plan.spec), case_(c), packed_(takes_packed(plan.spec, plan.tuning, c.entry)) {
    const NormSpec& spec = spec_;
    const DType r_type = spec.residual_dtype_resolved();
    y_in_place_ = spec.y_placement == YPlacement::kInPlace;
    residual_in_place_ = spec.residual_placement == ResidualPlacement::kInPlace;
    x_ = make(spec.x_dtype(), c.x);
    auto& upper = params_.upper;
    params_.x = place(*x_, {params_.x_token_stride, upper.x_token_stride},
                      {params_.x_head_stride, upper.x_head_stride});
    if (!y_in_place_) y_ = make(spec.y_dtype(), c.y);
    params_.y = place(y(), {params_.y_token_stride, upper.y_token_stride},
                      {params_.y_head_stride, upper.y_head_stride});
    if (spec.has_residual()) {
      residual_ = make(r_type, c.residual);
      params_.residual =
          place(*residual_, {params_.residual_token_stride, upper.residual_token_stride},
                {params_.residual_head_stride, upper.residual_head_stride});
      if (!residual_in_place_) residual_out_ = make(r_type, c.residual_out);
      params_.residual_out = place(
          residual_out(), {params_.residual_out_token_stride, upper.residual_out_token_stride},
          {params_.residual_out_head_stride, upper.residual_out_head_stride});
    }
    if (spec.has_weight()) {
      weight_ = std::make_unique<GuardedTensor>(TensorShape{
          spec.weight_dtype(), 1, 1, spec.hidden, TensorStrides{0, 0}, c.weight_offset_bytes});
      weight_->fill_row(0, pool.weight());
      params_.weight = weight_->data();
    }
    put({params_.tokens, upper.tokens}, c.skipped_tokens + c.tokens);
    rows_ = c.tokens * c.heads;
    const LaunchGrid grid = grid_of(spec, c);
    if (spec.layout == Layout::kHeads) {
      put_heads(grid, params_);
    } else {
      params_.input_policy = kEvictUnchanged;
    }
    params_.eps = pool.eps();
    for (int64_t r = 0; r < rows_; ++r) {
      x_->fill_row(r, pool_row(pool, r).x);
      if (residual_ != nullptr) residual_->fill_row(r, pool_row(pool, r).residual);
    }
  }

  const RmsNormParams& params() const { return params_; }

  MemoryMap memory() const {
    MemoryMap map;
    const auto add = [&](GuardedTensor* tensor, const char* name, bool reads, bool writes) {
      if (tensor == nullptr) return;
      Buffer buffer = tensor->buffer(name);
      buffer.readable = reads;
      buffer.writable = writes;
      if (tensor == weight_.get())
        buffer.before_wait = spec_.constant_weight == ConstantWeight::kOn;
      map.add(std::move(buffer));
    };
    add(x_.get(), "x", true, y_in_place_);
    add(residual_.get(), "residual", true, residual_in_place_);
    add(weight_.get(), "weight", true, false);
    add(residual_out_.get(), "residual_out", false, true);
    add(y_.get(), "y", false, true);
    return map;
  }

  std::string check(const RowPool& pool) const {
    for (int64_t r = 0; r < rows_; ++r) {
      const RowPool::Row& row = pool_row(pool, r);
      std::string found = compare("y", spec_.y_dtype(), y().row(r), row.expected.y);
      if (found.empty() && residual_ != nullptr) {
        found = compare("residual_out", spec_.residual_dtype_resolved(), residual_out().row(r),
                        row.expected.residual_out);
      }
      if (!found.empty()) return fmt::format("row {} ({}): {}", r, row.kind, found);
    }
    for (const auto* tensor : {&x_, &residual_, &weight_, &residual_out_, &y_}) {
      if (*tensor != nullptr && !(*tensor)->guards_intact()) {
        return "bytes outside the logical rows were changed";
      }
    }
    return {};
  }

 private:
  std::unique_ptr<GuardedTensor> make(DType dtype, const Memory& memory) {
    return std::make_unique<GuardedTensor>(shape_of(spec_, case_, packed_, dtype, memory));
  }
  // A number of the parameter block. A packed entry has no upper half: it gets poison.
  struct Halves {
    unsigned& lower;
    unsigned& upper;
  };
  void put(Halves halves, int64_t value) const {
    const auto bits = static_cast<uint64_t>(value);
    halves.lower = static_cast<unsigned>(bits);
    halves.upper = packed_ ? 0xa5a5a5a5u : static_cast<unsigned>(bits >> 32);
  }
  // Where token 0 would be, and the tensor's strides.
  void* place(GuardedTensor& tensor, Halves token_stride, Halves head_stride) const {
    const int64_t token_bytes = tensor.stride().token * tensor.element_bytes();
    put(token_stride, token_bytes);
    put(head_stride, tensor.stride().head * tensor.element_bytes());
    // Modulo 2^64, as the kernel's own sums: only the rows that are run have addresses.
    const uint64_t skipped =
        static_cast<uint64_t>(case_.skipped_tokens) * static_cast<uint64_t>(token_bytes);
    return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(tensor.data()) - skipped);
  }
  GuardedTensor& y() const { return y_in_place_ ? *x_ : *y_; }
  GuardedTensor& residual_out() const { return residual_in_place_ ? *residual_ : *residual_out_; }
  const RowPool::Row& pool_row(const RowPool& pool, int64_t r) const {
    return pool.row(case_.first_row + static_cast<int>(r) * case_.row_step);
  }
  static std::string compare(const char* name, DType dtype, const std::vector<uint32_t>& found,
                             const std::vector<uint32_t>& expected) {
    for (size_t i = 0; i < found.size(); ++i) {
      // The bits of a NaN are the device's choice only where nothing converts it.
      const bool same = dtype == DType::kF32 ? reference::same_bits(dtype, found[i], expected[i])
                                             : found[i] == expected[i];
      if (!same) {
        return fmt::format("{}[{}] is {} ({:#x}), expected {} ({:#x})", name, i,
                           reference::decode(dtype, found[i]), found[i],
                           reference::decode(dtype, expected[i]), expected[i]);
      }
    }
    return {};
  }

  NormSpec spec_;
  LaunchCase case_;
  const bool packed_;
  bool y_in_place_ = false;
  bool residual_in_place_ = false;
  std::unique_ptr<GuardedTensor> x_;
  std::unique_ptr<GuardedTensor> residual_;
  std::unique_ptr<GuardedTensor> residual_out_;
  std::unique_ptr<GuardedTensor> weight_;
  std::unique_ptr<GuardedTensor> y_;
  RmsNormParams params_{};
  int64_t rows_ = 0;  // that are run
};

std::string describe(const LaunchCase& c) {
  return fmt::format("{}, {} + {} tokens x {} heads from pool row {} step {}, {} rows a block, {}",
                     entry_name(c.entry), c.skipped_tokens, c.tokens, c.heads, c.first_row,
                     c.row_step, c.rows_per_block, schedule_name(c.schedule));
}

}  // namespace

std::string run_case(const Kernel& kernel, const KernelPlan& plan, const RowPool& pool,
                     const LaunchCase& c) {
  Tensors tensors(plan, pool, c);
  MemoryMap memory = tensors.memory();
  Launch launch;
  const auto& entry = kernel.entries[static_cast<int>(c.entry)];
  launch.body = entry.body;
  launch.params = &tensors.params();
  launch.scratch_bytes = entry.scratch_bytes;
  launch.scratch_align = entry.scratch_align;
  const rmsjit::Schedule& tuning = schedule_of(plan.tuning, c.entry);
  launch.threads_per_row = static_cast<unsigned>(tuning.threads_per_row);
  launch.rows_per_block = static_cast<unsigned>(c.rows_per_block);
  launch.cluster = static_cast<unsigned>(tuning.cluster);
  const LaunchGrid grid = grid_of(plan.spec, c);
  if (plan.spec.layout == Layout::kRows) {
    const auto rows = c.rows_per_block;
    launch.first_block = launch.cluster * static_cast<unsigned>(c.skipped_tokens / rows);
    launch.blocks = launch.cluster * grid.x;
  } else {
    const int64_t tokens = c.rows_per_block >> grid.heads_shift;  // of a block
    launch.grid_x = launch.cluster * grid.x;
    launch.first_block = launch.grid_x * static_cast<unsigned>(c.skipped_tokens / tokens);
    launch.blocks = launch.grid_x * grid.y;
  }
  launch.pdl = plan.spec.pdl == Pdl::kOn;
  launch.schedule = c.schedule;
  launch.seed = c.seed;
  launch.memory = &memory;
  std::string found = run(launch);
  if (found.empty()) found = tensors.check(pool);
  return found.empty() ? found : fmt::format("{}\n  {}", found, describe(c));
}

}  // namespace rmsjit::emulate
