// SPDX-License-Identifier: Apache-2.0
// What a launch hands to the kernel, without a driver: addresses are only numbers here.
#include "runtime/launch_args.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>

#include "tests/plan_search.h"
#include "tests/runtime/launch_shapes.h"

namespace rmsjit {
namespace {

enum Tensor { kX, kY, kResidual, kResidualOut };

TEST(LaunchArgs, DenseTensorsAreAccepted) {
  for (const char* text : kShapes) {
    const LaunchFacts facts = facts_of(text);
    for (const int64_t tokens : {1, 2, 7, 16384}) {
      const Status status = launch(facts, args_for(facts, tokens, 8));
      EXPECT_TRUE(status.ok()) << text << ": " << status.message();
    }
  }
}

TEST(LaunchArgs, TheBlockHoldsWhatTheCallerGave) {
  const LaunchFacts facts = facts_of(
      "hidden=128,layout=heads,residual=add,residual_placement=out_of_place,residual_dtype=f32");
  rmsjit_args args = args_for(facts, 3, 5);
  args.x_token_stride = 1000;
  args.x_head_stride = 136;
  args.residual_token_stride = 1001;
  args.residual_out_head_stride = 129;
  args.residual_out_token_stride = 2000;
  args.eps = 3e-4f;
  LaunchBlock block;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  const RmsNormParams& params = block.params;
  EXPECT_EQ(params.x, args.x);
  EXPECT_EQ(params.weight, args.weight);
  EXPECT_EQ(params.residual, args.residual);
  EXPECT_EQ(params.residual_out, args.residual_out);
  EXPECT_EQ(params.y, args.y);
  const auto strides = strides_of(params);
  EXPECT_EQ(strides[kX].token, 1000 * 2);
  EXPECT_EQ(strides[kX].head, 136 * 2);
  EXPECT_EQ(strides[kResidual].token, 1001 * 4);
  EXPECT_EQ(strides[kResidualOut].token, 2000 * 4);
  EXPECT_EQ(strides[kResidualOut].head, 129 * 4);
  EXPECT_EQ(strides[kY].token, 640 * 2);
  EXPECT_EQ(tokens_of(params), 3);
  EXPECT_EQ(params.heads.shift, 0u);  // five heads are odd: a head a block, of several tokens
  EXPECT_EQ(params.eps, 3e-4f);
  EXPECT_EQ(block.grid.x, 5u);
  EXPECT_EQ(block.grid.y, 1u);
  EXPECT_GE(block.grid.rows, 3u);
}

// Packed or not; make_block compares the usual way to a block with the careful one.
TEST(LaunchArgs, ALaunchThatMovesMoreThanL2HoldsGivesUpItsInputsLast) {
  const LaunchFacts facts = facts_of("hidden=4096,x=bf16");
  constexpr int64_t kRows = (50 << 20) / (2 * 8192);
  for (const int64_t offset : {0, 2}) {
    for (const int64_t rows : {int64_t{1}, kRows, kRows + 1, int64_t{1} << 20}) {
      rmsjit_args args = args_for(facts, rows);
      args.x = static_cast<const char*>(args.x) + offset;
      LaunchBlock block;
      ASSERT_TRUE(make_block(facts, args, block).ok());
      EXPECT_EQ(block.params.input_policy, rows > kRows ? kEvictLast : kEvictUnchanged) << rows;
    }
  }
}

// Every row has one row of threads in the grid, and only tokens at the end are beyond. Where the
// tokens need too many blocks, they are the heads.
TEST(LaunchArgs, HeadsAreDealtOutInTwoDimensions) {
  const LaunchFacts facts =
      facts_of("hidden=128,layout=heads,residual=add,residual_placement=out_of_place");
  for (const int64_t heads : {1, 2, 5, 6, 8, 12, 40, 64, 65537}) {
    for (const int64_t tokens : {1, 2, 3, 17, 1000, 65537, 600'000}) {
      if (heads > 65535 && tokens > 65535) continue;
      SCOPED_TRACE(std::to_string(tokens) + " x " + std::to_string(heads));
      rmsjit_args args = args_for(facts, tokens, heads);
      args.residual = address(int64_t{1} << 48);
      args.residual_out = address(int64_t{1} << 49);
      args.y = address(int64_t{1} << 50);
      LaunchBlock block;
      const Status status = make_block(facts, args, block);
      ASSERT_TRUE(status.ok()) << status.message();
      const LaunchGrid& grid = block.grid;
      const int64_t heads_a_block = int64_t{1} << grid.heads_shift;
      const int64_t tokens_a_block = grid.rows / heads_a_block;
      EXPECT_EQ(block.params.heads.shift, grid.heads_shift);
      EXPECT_EQ(block.params.heads.block_tokens, tokens_a_block);
      EXPECT_EQ(grid.rows % heads_a_block, 0);
      EXPECT_LE(grid.y, 65535u);
      const int64_t as_tokens = tokens_of(block.params);
      const bool exchanged = as_tokens != tokens;
      EXPECT_EQ(as_tokens, exchanged ? heads : tokens);
      EXPECT_EQ(grid.x * heads_a_block, exchanged ? tokens : heads);
      EXPECT_GE(grid.y * tokens_a_block, as_tokens);
      EXPECT_LT((grid.y - 1) * tokens_a_block, as_tokens);
      for (const TensorStrides& stride : strides_of(block.params)) {
        EXPECT_EQ(exchanged ? stride.head : stride.token, tokens > 1 ? heads * 256 : 0);
        EXPECT_EQ(exchanged ? stride.token : stride.head, heads > 1 ? 256 : 0);
      }
      // Without idle rows but at the end, unless there are many rows of an odd number of heads.
      const Schedule& schedule = schedule_of(facts.tuning, block.entry);
      const bool many = tokens * heads >= schedule.max_rows_per_block * facts.multiprocessors;
      const int least =
          many && !exchanged ? schedule.max_rows_per_block : 128 / schedule.threads_per_row;
      EXPECT_LE(grid.rows, std::max<int64_t>(least, 2 * as_tokens) * heads_a_block);
      if (tokens <= 65535) {
        EXPECT_FALSE(exchanged);
      }
    }
  }
}

// Exchanged, an odd number of tokens has a block for each: one with more rows than there are heads
// would idle.
TEST(LaunchArgs, ExchangedRowsHaveBlocksOfNoMoreRowsThanHeads) {
  Tuning tuning;
  tuning.threads_per_row = 8;
  tuning.max_rows_per_block = 32;
  const LaunchFacts facts(*parse_spec("hidden=64,layout=heads"), tuning, Target{90}, 132);
  rmsjit_args args = args_for(facts, 5'000'001, 1);
  LaunchBlock block;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  EXPECT_EQ(tokens_of(block.params), 1) << "exchanged";
  EXPECT_EQ(block.grid.rows, 4u) << "a warp of threads is the least";
}

TEST(LaunchArgs, InPlaceOutputsAreTheInputs) {
  const LaunchFacts facts = facts_of("hidden=64,layout=heads,y_placement=in_place,residual=add");
  rmsjit_args args = args_for(facts, 4, 2);
  args.x_token_stride = 500;
  for (const bool spelled_out : {false, true}) {
    if (spelled_out) {
      args.y = const_cast<void*>(args.x);
      args.y_token_stride = 500;
      args.y_head_stride = 64;
      args.residual_out = const_cast<void*>(args.residual);
      args.residual_out_token_stride = 128;
      args.residual_out_head_stride = 64;
    }
    LaunchBlock block;
    const Status status = make_block(facts, args, block);
    ASSERT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(block.params.y, args.x);
    const auto strides = strides_of(block.params);
    EXPECT_EQ(strides[kY].token, 500 * 2);
    EXPECT_EQ(strides[kY].head, 64 * 2);
    EXPECT_EQ(block.params.residual_out, args.residual);
    EXPECT_EQ(strides[kResidualOut].token, 128 * 2);
  }
}

TEST(LaunchArgs, NoRowsIsSuccessWhateverElseIsThere) {
  const LaunchFacts facts = facts_of("hidden=4096,layout=heads,residual=add");
  rmsjit_args args{};
  args.eps = std::nanf("");
  LaunchBlock block;
  for (const auto& [tokens, heads] : {std::pair<int64_t, int64_t>{0, 5}, {5, 0}, {0, kMax}}) {
    args.tokens = tokens;
    args.heads = heads;
    block.grid.x = 1;
    EXPECT_TRUE(make_block(facts, args, block).ok());
    EXPECT_EQ(block.grid.x, 0u);
  }
}

TEST(LaunchArgs, StridesOfAnExtentOfOneAreIgnored) {
  const LaunchFacts facts = first_schedule_of("hidden=128,layout=heads,residual=add,y=f32");
  rmsjit_args args = args_for(facts, 1, 1);
  args.x_token_stride = args.x_head_stride = -7;
  args.residual_token_stride = args.residual_head_stride = 1;
  args.residual_out_token_stride = args.residual_out_head_stride = 3;
  args.y_token_stride = args.y_head_stride = kMax;
  LaunchBlock block;
  const Status status = make_block(facts, args, block);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(block.entry, KernelEntry::kPacked) << "ignored strides must not cost the packed entry";
  const RmsNormParams& params = block.params;
  for (const TensorStrides& stride : strides_of(params)) {
    EXPECT_EQ(stride.token, 0);
    EXPECT_EQ(stride.head, 0);
  }
}

TEST(LaunchArgs, HeadsAreIgnoredByTheRowsLayout) {
  const LaunchFacts facts = facts_of("hidden=128");
  rmsjit_args args = args_for(facts, 8);
  args.heads = -3;
  args.x_head_stride = args.y_head_stride = 1;
  LaunchBlock block;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  EXPECT_EQ(tokens_of(block.params), 8);
  EXPECT_EQ(block.params.input_policy, unsigned{kEvictUnchanged});
}

TEST(LaunchArgs, ThePackedEntryNeedsEveryPointerAndUsedStrideAtSixteenBytes) {
  const LaunchFacts facts =
      first_schedule_of("hidden=128,layout=heads,residual=add,residual_placement=out_of_place");
  const auto is_packed = [&](const std::function<void(rmsjit_args&)>& change) {
    rmsjit_args args = args_for(facts, 4, 4);
    args.x_token_stride = args.residual_token_stride = 4096;
    args.residual_out_token_stride = args.y_token_stride = 4096;
    change(args);
    LaunchBlock block;
    const Status status = make_block(facts, args, block);
    EXPECT_TRUE(status.ok()) << status.message();
    return block.entry == KernelEntry::kPacked;
  };
  EXPECT_TRUE(is_packed([](rmsjit_args&) {}));
  const auto shift = [](auto& pointer) {
    pointer = address(reinterpret_cast<int64_t>(pointer) + 2);
  };
  EXPECT_FALSE(is_packed([&](rmsjit_args& a) { shift(a.x); }));
  EXPECT_FALSE(is_packed([&](rmsjit_args& a) { shift(a.weight); }));
  EXPECT_FALSE(is_packed([&](rmsjit_args& a) { shift(a.residual); }));
  EXPECT_FALSE(is_packed([&](rmsjit_args& a) { shift(a.residual_out); }));
  EXPECT_FALSE(is_packed([&](rmsjit_args& a) { shift(a.y); }));
  EXPECT_FALSE(is_packed([](rmsjit_args& a) { a.x_token_stride += 1; }));
  EXPECT_FALSE(is_packed([](rmsjit_args& a) { a.residual_token_stride += 4; }));
  EXPECT_FALSE(is_packed([](rmsjit_args& a) { a.residual_out_head_stride += 2; }));
  EXPECT_FALSE(is_packed([](rmsjit_args& a) { a.y_head_stride += 1; }));
  EXPECT_TRUE(is_packed([](rmsjit_args& a) { a.y_head_stride += 8; }));
}

Tuning::Extra extra_of(int threads, int cluster, int bound) {
  Tuning::Extra extra;
  extra.threads_per_row = threads;
  extra.cluster = cluster;
  extra.bound = bound;
  return extra;
}

// A plan of one schedule, to which a test adds others.
Tuning one_schedule() {
  Tuning tuning;
  tuning.threads_per_row = 256;
  return tuning;
}

// Of dense rows, their x `pad` elements further apart.
KernelEntry entry_of(const LaunchFacts& facts, int64_t rows, int64_t pad = 0) {
  rmsjit_args args = args_for(facts, rows);
  args.x_token_stride += pad;
  LaunchBlock block;
  const Status status = make_block(facts, args, block);
  EXPECT_TRUE(status.ok()) << status.message();
  return block.entry;
}

TEST(LaunchArgs, FewAlignedRowsTakeTheScheduleThatThePlanHasForThem) {
  const LaunchFacts facts = facts_of(
      spec_with("", {90}, [](const Tuning& t) { return t.few && t.few.bound == 2 && !t.many; }));
  const int64_t most = facts.multiprocessors / facts.tuning.few.cluster;
  EXPECT_EQ(entry_of(facts, 1), KernelEntry::kFew);
  EXPECT_EQ(entry_of(facts, most), KernelEntry::kFew);
  EXPECT_EQ(entry_of(facts, most + 1), KernelEntry::kPacked);
  EXPECT_EQ(entry_of(facts, most, 1), KernelEntry::kAny);
}

TEST(LaunchArgs, FewAreTheRowsOfWhichTwoMultiprocessorsHaveNoMoreBlocksThanTheBound) {
  const NormSpec spec = *parse_spec("hidden=8192");
  for (const auto& [bound, cluster, most] : {std::tuple{2, 4, 33},
                                             {4, 4, 66},
                                             {8, 4, 132},
                                             {2, 8, 16},
                                             {4, 8, 33},
                                             {8, 8, 66},
                                             {4, 16, 16},
                                             {4, 2, 132},
                                             {8, 2, 264},
                                             {1, 1, 66},
                                             {3, 1, 198},
                                             {1, 8, 8}}) {
    SCOPED_TRACE(testing::Message() << bound << " of " << cluster);
    Tuning tuning = one_schedule();
    tuning.few = extra_of(128, cluster, bound);
    const LaunchFacts facts(spec, tuning, Target{90}, 132);
    EXPECT_EQ(entry_of(facts, most), KernelEntry::kFew);
    EXPECT_EQ(entry_of(facts, most + 1), KernelEntry::kPacked);
  }
}

// Whatever the other's bound is: from no row on, below the border between them, or beyond it.
TEST(LaunchArgs, FewComesBeforeMany) {
  const NormSpec spec = *parse_spec("hidden=8192");
  for (const int from : {0, 1, 3}) {
    SCOPED_TRACE(from);
    Tuning tuning = one_schedule();
    tuning.few = extra_of(128, 4, 16);  // up to 200 rows of four blocks
    tuning.many = extra_of(512, 1, from);
    const LaunchFacts facts(spec, tuning, Target{90}, 100);
    const auto beyond = from == 3 ? KernelEntry::kPacked : KernelEntry::kMany;
    EXPECT_EQ(entry_of(facts, 1), KernelEntry::kFew);
    EXPECT_EQ(entry_of(facts, 200), KernelEntry::kFew);
    EXPECT_EQ(entry_of(facts, 201), beyond);
    EXPECT_EQ(entry_of(facts, 299), beyond);
    EXPECT_EQ(entry_of(facts, 300), KernelEntry::kMany);
    EXPECT_EQ(entry_of(facts, 300, 1), KernelEntry::kAny);
  }
}

TEST(LaunchArgs, ManyMayHaveAnEnd) {
  const NormSpec spec = *parse_spec("hidden=8192");
  Tuning tuning = one_schedule();
  tuning.many = extra_of(512, 1, 2);
  tuning.many.end = 5;
  const LaunchFacts facts(spec, tuning, Target{90}, 100);
  EXPECT_EQ(entry_of(facts, 199), KernelEntry::kPacked);
  EXPECT_EQ(entry_of(facts, 200), KernelEntry::kMany);
  EXPECT_EQ(entry_of(facts, 499), KernelEntry::kMany);
  EXPECT_EQ(entry_of(facts, 500), KernelEntry::kPacked);
  // Beside one for few rows, which ends within it.
  tuning.few = extra_of(128, 4, 20);
  const LaunchFacts both(spec, tuning, Target{90}, 100);
  EXPECT_EQ(entry_of(both, 250), KernelEntry::kFew);
  EXPECT_EQ(entry_of(both, 251), KernelEntry::kMany);
  EXPECT_EQ(entry_of(both, 500), KernelEntry::kPacked);
}

TEST(LaunchArgs, ManyAlignedRowsTakeTheirScheduleAndItsBlocks) {
  LaunchFacts facts = facts_of("hidden=512,residual=add,layout=heads");
  Tuning tuning = facts.tuning;
  tuning.few = {};
  tuning.many = {tuning, 8};
  tuning.many.threads_per_row = 32;
  tuning.many.max_rows_per_block = 4;
  facts = LaunchFacts(*parse_spec("hidden=512,residual=add,layout=heads"), tuning, Target{90}, 100);
  const auto block_of = [&](int64_t tokens, int64_t heads, int64_t pad) {
    rmsjit_args args = args_for(facts, tokens, heads);
    args.x_token_stride += pad;
    LaunchBlock block;
    const Status status = make_block(facts, args, block);
    EXPECT_TRUE(status.ok()) << status.message();
    return block;
  };
  EXPECT_EQ(block_of(799, 1, 0).entry, KernelEntry::kPacked);
  EXPECT_EQ(block_of(800, 1, 0).entry, KernelEntry::kMany);
  EXPECT_EQ(block_of(200, 4, 0).entry, KernelEntry::kMany) << "rows, not tokens";
  EXPECT_EQ(block_of(int64_t{1} << 30, 1, 0).entry, KernelEntry::kMany);
  EXPECT_EQ(block_of(800, 1, 1).entry, KernelEntry::kAny);
  EXPECT_EQ(block_of(int64_t{1} << 29, 4, 0).entry, KernelEntry::kPacked) << "2^31 rows";
  EXPECT_EQ(block_of(800, 1, 0).grid.rows, 4u);
  EXPECT_EQ(block_of(800, 1, 0).grid.x, 1u);
  EXPECT_EQ(block_of(800, 1, 0).grid.y, 200u);
}

// Of realigned rows an extra schedule takes those that are not packed.
TEST(LaunchArgs, ManyRealignedRowsTakeTheirScheduleUnlessTheyArePacked) {
  const LaunchFacts facts = facts_of("hidden=2881");
  ASSERT_TRUE(facts.tuning.many);
  const auto from = static_cast<int64_t>(facts.many_rows.first);
  const auto entry = [&](int64_t rows, int64_t stride) {
    rmsjit_args args = args_for(facts, rows);
    args.x_token_stride = args.y_token_stride = stride;
    LaunchBlock block;
    const Status status = make_block(facts, args, block);
    EXPECT_TRUE(status.ok()) << status.message();
    return block.entry;
  };
  EXPECT_EQ(entry(from - 1, 2881), KernelEntry::kAny);
  EXPECT_EQ(entry(from, 2881), KernelEntry::kMany);
  EXPECT_EQ(entry(from, 2888), KernelEntry::kPacked);
}

TEST(LaunchArgs, AnExtraScheduleHasAGridOfItsOwn) {
  const LaunchFacts facts = facts_of("hidden=262144,residual=add");
  ASSERT_EQ(facts.tuning.many.cluster, 16);
  EXPECT_EQ(entry_of(facts, 1), KernelEntry::kMany) << "from no row on";
  rmsjit_args args = args_for(facts, 1000);
  LaunchBlock block;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  EXPECT_EQ(block.entry, KernelEntry::kMany);
  EXPECT_EQ(block.grid.x, 16000u);
  args.x_token_stride += 1;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  EXPECT_EQ(block.entry, KernelEntry::kAny);
  EXPECT_EQ(block.grid.x, 1000u * static_cast<unsigned>(facts.tuning.cluster));
  // Beyond what a grid of its blocks has, the first schedule's smaller cluster still serves.
  const int64_t most = LaunchGrid::kMostX / 16;
  for (const auto& [rows, entry, blocks] :
       {std::tuple{most, KernelEntry::kMany, 16}, {most + 1, KernelEntry::kPacked, 8}}) {
    args = args_for(facts, rows);
    args.residual = address(int64_t{1} << 50);
    args.y = address(int64_t{1} << 51);
    ASSERT_TRUE(make_block(facts, args, block).ok());
    EXPECT_EQ(block.entry, entry);
    EXPECT_EQ(block.grid.x, rows * blocks);
  }
}

TEST(LaunchArgs, FewOfTheLongestRowsHaveTheirsInRegistersAndTheOthersInSharedMemory) {
  const LaunchFacts facts = facts_of("hidden=262144");
  const int64_t few = facts.multiprocessors / 16;
  for (const auto& [rows, entry, threads] : {std::tuple{int64_t{1}, KernelEntry::kFew, 256},
                                             {few, KernelEntry::kFew, 256},
                                             {few + 1, KernelEntry::kMany, 512}}) {
    LaunchBlock block;
    ASSERT_TRUE(make_block(facts, args_for(facts, rows), block).ok());
    EXPECT_EQ(block.entry, entry) << rows;
    EXPECT_EQ(block.grid.x, 16 * rows);
    EXPECT_EQ(schedule_of(facts.tuning, block.entry).threads_per_row, threads);
  }
}

TEST(LaunchArgs, SixtyFourBitStridesAndCountsWork) {
  const LaunchFacts facts = facts_of("hidden=4096");
  rmsjit_args args = args_for(facts, 2);
  args.x_token_stride = int64_t{1} << 31;
  args.y = address(int64_t{1} << 50);
  args.y_token_stride = (int64_t{1} << 33) + 1;
  LaunchBlock block;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  EXPECT_EQ(strides_of(block.params)[kX].token, 2 * args.x_token_stride);
  EXPECT_EQ(strides_of(block.params)[kY].token, 2 * args.y_token_stride);
  args = args_for(facts, int64_t{1} << 21);  // rows * hidden = 2^33
  EXPECT_TRUE(launch(facts, args).ok());
}

// The packed entries read the lower halves alone: 32 bits of a stride in bytes, and row numbers
// that stay below 2^32 with those of a last block.
TEST(LaunchArgs, ANumberOfMoreThanThirtyTwoBitsIsNotForThePackedEntry) {
  const auto entry = [](const char* text, const std::function<void(rmsjit_args&)>& change) {
    const LaunchFacts facts = first_schedule_of(text);
    rmsjit_args args = args_for(facts, 2, facts.has_heads ? 2 : 1);
    args.y = address(int64_t{1} << 55);
    change(args);
    LaunchBlock block;
    const Status status = make_block(facts, args, block);
    EXPECT_TRUE(status.ok()) << status.message();
    return block.entry;
  };
  constexpr int64_t kLimit = int64_t{1} << 31;  // 2^32 bytes
  const char* const rows = "hidden=128";
  const char* const fused = "hidden=128,residual=add,residual_placement=out_of_place,y=f32";
  const char* const heads = "hidden=128,layout=heads";
  const auto packed = KernelEntry::kPacked, any = KernelEntry::kAny;
  EXPECT_EQ(entry(rows, [](auto& a) { a.x_token_stride = kLimit - 8; }), packed);
  EXPECT_EQ(entry(rows, [](auto& a) { a.x_token_stride = kLimit; }), any);
  EXPECT_EQ(entry(rows, [](auto& a) { a.y_token_stride = kLimit - 8; }), packed);
  EXPECT_EQ(entry(rows, [](auto& a) { a.y_token_stride = kLimit; }), any);
  EXPECT_EQ(entry(fused, [](auto& a) { a.y_token_stride = kLimit / 2 - 8; }), packed);
  EXPECT_EQ(entry(fused, [](auto& a) { a.y_token_stride = kLimit / 2; }), any);
  EXPECT_EQ(entry(fused, [](auto& a) { a.residual_token_stride = kLimit; }), any);
  EXPECT_EQ(entry(fused, [](auto& a) { a.residual_out_token_stride = kLimit; }), any);
  EXPECT_EQ(entry(heads, [](auto& a) { a.x_head_stride = kLimit - 8; }), packed);
  EXPECT_EQ(entry(heads, [](auto& a) { a.x_head_stride = kLimit; }), any);
  EXPECT_EQ(entry(heads, [](auto& a) { a.y_token_stride = kLimit; }), any);
  EXPECT_EQ(entry(rows, [](auto& a) { a.tokens = kLimit - 1; }), packed);
  EXPECT_EQ(entry(rows, [](auto& a) { a.tokens = kLimit; }), any);
}

TEST(LaunchArgs, RowsUpToTwoToThe31BlocksAreTakenAndOneMoreIsNot) {
  const LaunchFacts facts = facts_of("hidden=8");
  const int64_t most = int64_t{0x7fffffff} * facts.tuning.max_rows_per_block;
  rmsjit_args args = args_for(facts, most);
  args.y = address(int64_t{1} << 50);
  LaunchBlock block;
  const Status status = make_block(facts, args, block);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(block.grid.x, 0x7fffffffu);
  args.tokens = most + 1;
  const Status more = launch(facts, args);
  EXPECT_EQ(more.code(), StatusCode::kInvalidArgument);
  EXPECT_NE(more.message().find("at most " + std::to_string(most)), std::string::npos)
      << more.message();
}

TEST(LaunchArgs, ALongRowHasSeveralBlocksAndTheGridStaysWithinItsLimit) {
  Tuning tuning = one_schedule();
  tuning.cluster = 8;
  const LaunchFacts facts(*parse_spec("hidden=65536"), tuning, Target{90}, 132);
  rmsjit_args args = args_for(facts, 5);
  LaunchBlock block;
  ASSERT_TRUE(make_block(facts, args, block).ok());
  EXPECT_EQ(block.grid.x, 40u);
  EXPECT_EQ(block.grid.rows, 1u);
  const int64_t most = int64_t{0x7fffffff} / 8;
  args = args_for(facts, most);
  args.y = address(int64_t{1} << 50);
  const Status status = make_block(facts, args, block);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(block.grid.x, 8 * most);
  args.tokens = most + 1;
  EXPECT_NE(launch(facts, args).message().find("at most " + std::to_string(most)),
            std::string::npos)
      << launch(facts, args).message();
}

// The kernel counts rows without heads by what it was compiled for.
TEST(RowsPerBlock, AreThePlansWithoutHeads) {
  Tuning tuning;
  tuning.threads_per_row = 16;
  tuning.max_rows_per_block = 32;
  for (const int64_t rows : {1, 32 * 132 - 1, 32 * 132}) {
    EXPECT_EQ(rows_per_block(tuning, false, rows, 132), 32);
  }
}

// Few rows of heads spread over the GPU, but never in blocks of less than four warps.
TEST(RowsPerBlock, OfHeadsShrinkWithTheRowsDownToFourWarps) {
  Tuning tuning;
  tuning.threads_per_row = 16;
  tuning.max_rows_per_block = 32;
  EXPECT_EQ(rows_per_block(tuning, true, 32 * 132, 132), 32);
  EXPECT_EQ(rows_per_block(tuning, true, 32 * 132 - 1, 132), 16);
  EXPECT_EQ(rows_per_block(tuning, true, 1, 132), 8);
  tuning.threads_per_row = 1;  // hidden up to 8: the plan's block is as large
  tuning.max_rows_per_block = 128;
  EXPECT_EQ(rows_per_block(tuning, true, 1, 132), 128);
  tuning.threads_per_row = 1024;
  tuning.max_rows_per_block = 1;
  EXPECT_EQ(rows_per_block(tuning, true, 1, 132), 1);
}

}  // namespace
}  // namespace rmsjit
