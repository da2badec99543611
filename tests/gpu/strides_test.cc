// SPDX-License-Identifier: Apache-2.0
// Rows some four GiB apart on the device: the packed entries up to the last stride of 32 bits in
// bytes, rmsnorm_any beyond.
#include <gtest/gtest.h>

#include "runtime/launch_args.h"
#include "runtime/launch_plan.h"
#include "tests/gpu/gpu_fixture.h"

namespace rmsjit::gpu {
namespace {

constexpr int64_t kRows = 3;

class Strides : public OnDevice {
 protected:
  bench::Buffer far_apart(int64_t stride_bytes) {
    return bench::Buffer(*cuda, static_cast<size_t>((kRows - 1) * stride_bytes + kRowBytes));
  }
  static void put(bench::Buffer& buffer, int64_t row, int64_t stride_bytes,
                  const std::vector<uint32_t>& bits) {
    const std::vector<uint16_t> half(bits.begin(), bits.end());
    buffer.upload(half.data(), kRowBytes, static_cast<size_t>(row * stride_bytes));
  }
  static std::vector<uint32_t> get(const bench::Buffer& buffer, int64_t row, int64_t stride_bytes) {
    std::vector<uint16_t> half(kHidden);
    buffer.download(half.data(), kRowBytes, static_cast<size_t>(row * stride_bytes));
    return {half.begin(), half.end()};
  }

  static constexpr size_t kHidden = 128, kRowBytes = 2 * kHidden;
};

TEST_F(Strides, RowsFourGibibytesApartAreRight) {
  if (short_run()) GTEST_SKIP() << "a sanitizer keeps notes of every byte of 36 GB";
  size_t unused = 0, total = 0;
  cuda->check(cuda->api().cuMemGetInfo(&unused, &total), "cuMemGetInfo");
  if (unused < (size_t{48} << 30)) GTEST_SKIP() << "48 GiB of free memory are needed";
  const NormSpec spec =
      spec_of("hidden=128,residual=add,residual_placement=out_of_place,root=exact");
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  ASSERT_NE(kernel, nullptr);
  const Target target{cuda->sm()};
  const LaunchFacts facts(spec, launch_plan(spec, target), target, 132);
  const emulate::RowPool pool(spec, 5);
  bench::Buffer weight(*cuda, kRowBytes);
  put(weight, 0, 0, pool.weight());
  for (const auto& [stride, packed] :
       {std::pair{(int64_t{1} << 32) - 16, true}, std::pair{(int64_t{1} << 32) + 16, false}}) {
    SCOPED_TRACE(stride);
    bench::Buffer x = far_apart(stride), residual = far_apart(stride);
    bench::Buffer y = far_apart(stride), residual_out = far_apart(stride);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto& from = pool.row(static_cast<int>(row));
      put(x, row, stride, from.x);
      put(residual, row, stride, from.residual);
      put(y, row, stride, from.x);  // neither expected bits nor zeros
    }
    rmsjit_args args{};
    args.struct_size = sizeof args;
    args.x = x.data();
    args.weight = weight.data();
    args.residual = residual.data();
    args.residual_out = residual_out.data();
    args.y = y.data();
    args.tokens = kRows;
    args.x_token_stride = args.y_token_stride = stride / 2;
    args.residual_token_stride = args.residual_out_token_stride = stride / 2;
    args.eps = pool.eps();
    LaunchBlock block;
    ASSERT_TRUE(make_launch_block(facts, args, block).ok());
    EXPECT_EQ(takes_packed(spec, facts.tuning, block.entry), packed);
    cuda->synchronize();
    expect_launch(kernel, args, stream->get());
    stream->synchronize();
    for (int64_t row = 0; row < kRows; ++row) {
      const auto& expected = pool.row(static_cast<int>(row)).expected;
      EXPECT_EQ(get(y, row, stride), expected.y) << "row " << row;
      EXPECT_EQ(get(residual_out, row, stride), expected.residual_out) << "row " << row;
    }
  }
}

}  // namespace
}  // namespace rmsjit::gpu
