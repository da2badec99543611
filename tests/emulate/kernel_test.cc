// SPDX-License-Identifier: Apache-2.0
// Every kernel of kernel_set(), run on the CPU. All expectations are bits: those of the fixed sum,
// which RowPool holds against the double reference. So two plans, batches, alignments or strides
// that agree with it agree with each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "rmsjit/spec_text.h"
#include "tests/emulate/launch_case.h"

namespace rmsjit::emulate {
namespace {

const std::vector<KernelPlan>& plans() {
  static const auto* const kPlans = new std::vector<KernelPlan>(kernel_set());
  return *kPlans;
}

// The compiled kernels, by their index in plans().
const std::vector<const Kernel*>& kernels() {
  static const auto* const kKernels = [] {
    auto* all = new std::vector<const Kernel*>;
    for (const KernelList* const* unit = kUnits; *unit != nullptr; ++unit) {
      for (size_t i = 0; i < (*unit)->count; ++i) all->push_back((*unit)->kernels + i);
    }
    std::sort(all->begin(), all->end(),
              [](const Kernel* a, const Kernel* b) { return a->index < b->index; });
    return all;
  }();
  return *kKernels;
}

const RowPool& pool_of(const KernelPlan& plan) {
  static auto* const kPools = new std::map<int, std::unique_ptr<RowPool>>;
  std::unique_ptr<RowPool>& pool = (*kPools)[plan.spec_index];
  if (pool == nullptr) {
    kPools->clear();  // kernels of one spec are neighbours
    std::unique_ptr<RowPool>& fresh = (*kPools)[plan.spec_index];
    fresh = std::make_unique<RowPool>(plan.spec, static_cast<uint32_t>(plan.spec_index));
    return *fresh;
  }
  return *pool;
}

constexpr Entry kEntries[] = {Entry::kPacked, Entry::kAny, Entry::kFew, Entry::kMany};
constexpr Entry kExtras[] = {Entry::kFew, Entry::kMany};

class EmulatedKernel : public testing::TestWithParam<int> {
 protected:
  EmulatedKernel()
      : kernel_(*kernels()[static_cast<size_t>(GetParam())]),
        plan_(plans()[static_cast<size_t>(kernel_.index)]),
        pool_(pool_of(plan_)) {}

  const NormSpec& spec() const { return plan_.spec; }
  bool heads() const { return spec().layout == Layout::kHeads; }
  bool has(Entry entry) const { return kernel_.entries[static_cast<int>(entry)].body != nullptr; }
  bool first_plan() const {
    const auto before = static_cast<size_t>(kernel_.index) - 1;
    return kernel_.index == 0 || plans()[before].spec_index != plan_.spec_index;
  }
  bool is_long() const { return spec().hidden > 2000; }

  // Every rows_per_block legal for an entry that differs in kind: what it was compiled for; with
  // heads also the least and one between.
  std::vector<int> row_counts(Entry entry) const {
    const rmsjit::Schedule& deal = schedule_of(plan_.tuning, entry);
    if (!heads()) return {deal.max_rows_per_block};
    const int least = deal.min_rows_per_block();
    const int most = deal.max_rows_per_block;
    std::vector<int> counts = {least};
    if (most > 2 * least) counts.push_back(most / least / 2 * least);
    if (most > least) counts.push_back(most);
    return counts;
  }

  void expect_right(const LaunchCase& c) {
    const std::string found = run_case(kernel_, plan_, pool_, c);
    ASSERT_EQ(found, "") << spec_text(spec()) << "\n  " << tuning_text(plan_.tuning);
  }

  const Kernel& kernel_;
  const KernelPlan& plan_;
  const RowPool& pool_;
};

TEST_P(EmulatedKernel, IsTheKernelOfItsPlan) {
  EXPECT_EQ(kernel_.spec_text, spec_text(spec()));
  for (Entry entry : kEntries) EXPECT_EQ(has(entry), has_entry(plan_.tuning, entry));
  EXPECT_EQ(pool_.disagreement(), "");
}

// All kinds of rows as one batch, tight strides, each entry under each schedule.
TEST_P(EmulatedKernel, GivesTheFixedBitsUnderEverySchedule) {
  uint32_t turn = 0;
  for (Entry entry : kEntries) {
    if (!has(entry)) continue;
    const std::vector<int> counts = row_counts(entry);
    for (Schedule schedule : kSchedules) {
      LaunchCase c;
      c.entry = entry;
      c.schedule = schedule;
      c.seed = ++turn;
      // The order of threads has nothing to do with a row's values, and neither has the plan: one
      // plan of a spec takes all kinds at once, the others share them out.
      const int kinds = first_plan() ? pool_.size() : std::min(pool_.size(), 5);
      const int rows = schedule == Schedule::kAscending ? kinds : 2;
      c.heads = heads() && rows > 1 ? 3 : 1;
      c.tokens = (rows + c.heads - 1) / c.heads;
      c.first_row = GetParam() * 5 + static_cast<int>(turn);
      c.rows_per_block = counts[turn % counts.size()];
      ASSERT_NO_FATAL_FAILURE(expect_right(c));
    }
  }
}

// A row alone, in odd batches, at each place of a block, and in blocks with idle rows.
TEST_P(EmulatedKernel, GivesARowTheSameBitsInEveryBatch) {
  uint32_t turn = 0;
  const auto run_batches = [&](int rows_per_block, const auto& entry_of) {
    for (int64_t rows :
         {int64_t{1}, int64_t{rows_per_block} + 1, int64_t{2 * rows_per_block} - 1}) {
      if (rows * spec().hidden > 40000 && rows > 3) continue;
      LaunchCase c;
      c.entry = entry_of(++turn);
      c.schedule = kSchedules[turn % 4];
      c.seed = turn;
      c.first_row = static_cast<int>(turn * 5);
      c.row_step = 5;
      c.rows_per_block = rows_per_block;
      c.tokens = rows;
      if (heads() && turn % 2 == 0) std::swap(c.tokens, c.heads);
      const bool strided = c.entry > Entry::kAny && takes_packed(spec(), plan_.tuning, c.entry);
      c.x.token_pad = strided ? 8 * turn : 3 + turn;
      ASSERT_NO_FATAL_FAILURE(expect_right(c));
    }
  };
  for (int rows : row_counts(Entry::kAny)) {
    run_batches(rows, [](uint32_t n) { return n % 2 == 0 ? Entry::kPacked : Entry::kAny; });
  }
  for (Entry extra : kExtras) {
    if (!has(extra)) continue;
    for (int rows : row_counts(extra)) {
      run_batches(rows, [extra](uint32_t) { return extra; });
    }
  }
}

// Each tensor at every offset that its elements allow, the others aligned. Plans share the code
// that this reaches, so every third kernel is enough.
class UnalignedKernel : public EmulatedKernel {};
TEST_P(UnalignedKernel, TakesEveryAlignmentOfEachTensor) {
  const DType types[] = {spec().x_dtype(), spec().residual_dtype_resolved(),
                         spec().residual_dtype_resolved(), spec().y_dtype(), spec().weight_dtype()};
  for (size_t tensor = 0; tensor < std::size(types); ++tensor) {
    if (types[tensor] == DType::kNone || (tensor <= 2 && tensor > 0 && !spec().has_residual())) {
      continue;
    }
    const int64_t step = dtype_bytes(types[tensor]);
    for (int64_t offset = step; offset < (is_long() ? 2 * step : 16); offset += step) {
      LaunchCase c;
      // Extra entries of realigned rows take turns with the one for any.
      std::vector<Entry> entries = {Entry::kAny};
      for (Entry extra : kExtras) {
        if (has(extra) && !takes_packed(spec(), plan_.tuning, extra)) entries.push_back(extra);
      }
      c.entry = entries[static_cast<size_t>(offset / step) % entries.size()];
      c.rows_per_block = row_counts(c.entry).front();
      c.tokens = 2;
      c.first_row = static_cast<int>(offset);
      int64_t* const offsets[] = {&c.x.offset_bytes, &c.residual.offset_bytes,
                                  &c.residual_out.offset_bytes, &c.y.offset_bytes,
                                  &c.weight_offset_bytes};
      *offsets[tensor] = offset;
      ASSERT_NO_FATAL_FAILURE(expect_right(c));
    }
  }
}

// Five different paddings, so that a stride of the wrong tensor cannot go unseen.
TEST_P(EmulatedKernel, KeepsTheStridesOfTheTensorsApart) {
  for (Entry entry : kEntries) {
    if (!has(entry)) continue;
    for (bool outside : {false, true}) {
      if (outside && !heads()) continue;
      LaunchCase c;
      c.entry = entry;
      c.rows_per_block = row_counts(entry).back();
      c.tokens = 3;
      // A block has all of them, or some, and several tokens or one.
      c.heads = heads() ? (is_long() ? 2 : entry == Entry::kAny ? 12 : 8) : 1;
      c.first_row = 2;
      c.x = {0, 1, 24, outside};
      c.residual = {16, 17, 72, false};
      c.residual_out = {32, 34, 8, outside};
      c.y = {48, 55, 40, false};
      c.weight_offset_bytes = 16;
      c.schedule = Schedule::kRandomRunAhead;
      ASSERT_NO_FATAL_FAILURE(expect_right(c));
    }
  }
}

int kernel_count() { return static_cast<int>(kernels().size()); }
INSTANTIATE_TEST_SUITE_P(Set, EmulatedKernel, testing::Range(0, kernel_count()));
INSTANTIATE_TEST_SUITE_P(Set, UnalignedKernel, testing::Range(0, kernel_count(), 3));

TEST(KernelSet, HasPlansForFewRowsForManyAndForBoth) {
  int few = 0, many = 0, both = 0;
  for (const KernelPlan& plan : plans()) {
    const Tuning& tuning = plan.tuning;
    few += tuning.few && !tuning.many;
    many += tuning.many && !tuning.few;
    both += tuning.few && tuning.many;
  }
  EXPECT_GT(few, 0);
  EXPECT_GT(many, 0);
  EXPECT_GT(both, 0);
}

// The kernels that one test of large numbers takes, and a small case for each.
template <class F>
void for_some_kernels(Entry entry, const F& change) {
  int taken = 0;
  for (const Kernel* kernel : kernels()) {
    const KernelPlan& plan = plans()[static_cast<size_t>(kernel->index)];
    const bool extra = entry > Entry::kAny;
    if (extra ? !has_entry(plan.tuning, entry) : kernel->index % 4 != 0) continue;
    if (plan.spec.hidden > 2000) continue;
    LaunchCase c;
    c.rows_per_block = schedule_of(plan.tuning, entry).max_rows_per_block;
    c.tokens = 3;
    c.heads = plan.spec.layout == Layout::kHeads ? 2 : 1;
    c.entry = entry;
    change(c, plan);
    EXPECT_EQ(run_case(*kernel, plan, pool_of(plan), c), "")
        << spec_text(plan.spec) << "\n  " << tuning_text(plan.tuning);
    ++taken;
  }
  EXPECT_GT(taken, 0);
}

// A token stride of nearly this many bytes: tensors are reserved address space, never filled.
int64_t elements_in(int64_t bytes, DType dtype, int64_t hidden) {
  return bytes / dtype_bytes(dtype) - 2 * hidden - 64;
}

TEST(LargeNumbers, StridesBeyondTwoToThe32Bytes) {
  for_some_kernels(Entry::kAny, [](LaunchCase& c, const KernelPlan&) {
    const int64_t far = (int64_t{1} << 32) + 16;
    c.x = {0, far, 5, false};
    c.residual = {0, 2 * far, 7, false};
    c.residual_out = {0, far / 2, far, true};
    c.y = {0, far + 64, 11, false};
  });
}

// What is left of 32 bits for the packed entries: all of them.
TEST(LargeNumbers, PackedStridesJustBelowTwoToThe32Bytes) {
  for_some_kernels(Entry::kPacked, [](LaunchCase& c, const KernelPlan& plan) {
    const NormSpec& spec = plan.spec;
    constexpr int64_t kMost = int64_t{1} << 32;
    c.x = {0, elements_in(kMost, spec.x_dtype(), spec.hidden), 0, false};
    const DType residual = spec.residual_dtype_resolved();
    if (spec.has_residual()) c.residual = {0, elements_in(kMost, residual, spec.hidden), 0, false};
    if (spec.has_residual()) {
      c.residual_out = {0, elements_in(kMost - 4096, residual, spec.hidden), 0, false};
    }
    c.y = {0, elements_in(kMost - 8192, spec.y_dtype(), spec.hidden), 0, false};
  });
}

// The last blocks that a grid can have: row numbers beyond 2^32 with several rows a block.
TEST(LargeNumbers, RowsOfTheLastBlocks) {
  for_some_kernels(Entry::kAny, [](LaunchCase& c, const KernelPlan& plan) {
    // Up to the last block, but no more rows than there are addresses for.
    const int64_t last_block = ((int64_t{1} << 31) - 16) / plan.tuning.cluster;
    const int64_t blocks = std::min(last_block, (int64_t{1} << 32) / c.rows_per_block + 5);
    c.skipped_tokens = blocks / c.heads * c.rows_per_block;
    c.x.token_pad = 9;
    c.y.token_pad = 24;
    c.residual_out.token_pad = 1;
  });
}

// The same of packed rows, and of extra schedules': numbers that a signed word cannot hold in
// the rows beyond the last.
TEST(LargeNumbers, PackedRowsUpToTwoToThe31) {
  for (const Entry entry : {Entry::kPacked, Entry::kFew, Entry::kMany}) {
    for_some_kernels(entry, [entry](LaunchCase& c, const KernelPlan& plan) {
      const int cluster = schedule_of(plan.tuning, entry).cluster;
      const int64_t most = ((int64_t{1} << 31) - 1) / (cluster * c.heads);
      c.skipped_tokens = (most - c.tokens) / c.rows_per_block * c.rows_per_block;
      c.x.token_pad = 64;
      c.y.token_pad = 24;
      c.residual_out.token_pad = 8;
    });
  }
}

}  // namespace
}  // namespace rmsjit::emulate
