// SPDX-License-Identifier: Apache-2.0
// Programmatic dependent launch on the device, eager and in graphs: neighbours that let the norm
// start long before they are done. PdlChain says what stands around it.
#include <gtest/gtest.h>

#include "rmsjit/spec_text.h"
#include "runtime/kernel_key.h"
#include "runtime/launch_grid.h"
#include "runtime/launch_plan.h"
#include "runtime/usual_launch.h"
#include "tests/gpu/gpu_fixture.h"
#include "tests/gpu/pdl_chain.h"
#include "tests/plan_search.h"
#include "tests/spec_set.h"

namespace rmsjit::gpu {
namespace {

using Before = PdlChain::Before;

class PdlTest : public OnDevice {
 protected:
  void SetUp() override {
    OnDevice::SetUp();
    if (!cuda) return;
    if (cuda->sm() < 90) GTEST_SKIP() << "PDL needs sm_90, this device is sm_" << cuda->sm();
    neighbours.emplace(*cuda);
  }

  // `rounds` eager and as many in replays of one graph, for each neighbour before the norm.
  void run(const NormSpec& spec, const PdlChain::Shape& shape, int rounds) {
    SCOPED_TRACE(spec_text(spec));
    const rmsjit_kernel* kernel = runtime->prepare(spec);
    ASSERT_NE(kernel, nullptr);
    PdlChain chain(*cuda, *stream, *neighbours, spec, kernel, shape);
    ASSERT_TRUE(chain.learn());
    if (short_run()) rounds = 10;
    for (const Before before : {Before::kLateWriter, Before::kLateReader}) {
      // Behind a chain, the reader of the first norm's y would have to stand inside it.
      if (shape.norms > 1 && before == Before::kLateReader) continue;
      const char* name = before == Before::kLateWriter ? "late writer" : "late reader";
      chain.enqueue(stream->get(), before, rounds);
      ASSERT_EQ(chain.wrong(), 0u) << name << ", eager";
      const int a_graph = std::min(rounds, 250);
      const bench::Graph graph(*cuda, *stream,
                               [&](CUstream s) { chain.enqueue(s, before, a_graph); });
      for (int done = 0; done < rounds; done += a_graph) graph.launch();
      ASSERT_EQ(chain.wrong(), 0u) << name << ", graph";
    }
  }

  std::optional<Neighbours> neighbours;
};

class PdlVariants : public PdlTest, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Slice, PdlVariants, testing::Range(0, Slice::kCount));

// Per variant 10 000 rounds: 2500 for each neighbour, eager and in a graph.
TEST_P(PdlVariants, EveryVariantWaitsForALateWriterAndForALateReader) {
  Slice slice(GetParam());
  int64_t turn = 0;
  for (const NormSpec& spec : covering_specs(Target{cuda->sm()})) {
    if (spec.pdl != Pdl::kOn || !slice.takes(8)) continue;
    const bool is_long = spec.hidden > 20000;
    run(spec, {is_long ? 2 : 7, heads_of(spec, turn++), 1}, is_long ? 500 : 2500);
    if (HasFatalFailure()) return;
  }
}

class PdlShapes : public PdlTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Model, PdlShapes,
    testing::Values("hidden=4096,pdl=on,residual=add",
                    "hidden=4096,pdl=on,residual=add,constant_weight=on",
                    "hidden=7168,pdl=on,residual=add,residual_placement=out_of_place",
                    "hidden=4096,pdl=on,y_placement=in_place", "hidden=128,pdl=on,layout=heads",
                    "hidden=65536,pdl=on"));

TEST_P(PdlShapes, WaitTenThousandTimesForEachNeighbour) {
  const NormSpec spec = spec_of(GetParam());
  run(spec, {spec.hidden > 20000 ? 2 : 16, heads_of(spec, 0), 1}, 5000);
}

// An extra schedule may trigger elsewhere than the first. That of realigned rows takes those that
// are not packed, as these are: several, side by side.
TEST_F(PdlTest, SchedulesForManyRowsWaitToo) {
  const Target target{cuda->sm()};
  const int multiprocessors = cuda->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  const auto has = [](const Tuning& t) { return t.many && t.many.bound > 0; };
  for (const std::string& text :
       {spec_with(",pdl=on", target, has), spec_with(",pdl=on,residual=add", target, has),
        spec_with(",pdl=on", target, has, 1024), std::string("hidden=2881,pdl=on")}) {
    const NormSpec spec = spec_of(text.c_str());
    const RowCounts many = many_rows(launch_plan(spec, target).many, multiprocessors);
    ASSERT_GT(many.first, 0u) << text << " has no such schedule: choose another";
    run(spec, {static_cast<int64_t>(many.first) + 1, 1, 1}, 500);
    if (HasFatalFailure()) return;
  }
}

TEST_F(PdlTest, SchedulesForFewRowsWaitToo) {
  if (cuda->sm() < 90) GTEST_SKIP() << "no clusters";
  const Target target{cuda->sm()};
  const int multiprocessors = cuda->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  const auto one = [](const Tuning& t) { return t.few && t.few.cluster == 1; };
  const auto several = [](const Tuning& t) { return t.few.cluster > 1; };
  for (const std::string& text :
       {spec_with(",pdl=on", target, one), spec_with(",pdl=on,residual=add", target, one),
        spec_with(",pdl=on", target, several), spec_with(",pdl=on,residual=add", target, several),
        spec_with(",pdl=on,y_placement=in_place", target, several, 8192),
        spec_with(",pdl=on", target, several, 32768)}) {
    const NormSpec spec = spec_of(text.c_str());
    const RowCounts few = few_rows(launch_plan(spec, target).few, multiprocessors);
    ASSERT_GT(few.count, 1u) << text;
    const auto most = static_cast<int64_t>(few.count) - 1;
    for (const int64_t rows : {int64_t{1}, std::min<int64_t>(most, 16)}) {
      run(spec, {rows, 1, 1}, 2500);
    }
    if (HasFatalFailure()) return;
  }
}

TEST_F(PdlTest, AChainOfThreeNormsPassesEachOnesOutputOn) {
  for (const char* text : {"hidden=4096,pdl=on", "hidden=4096,pdl=on,residual=add",
                           "hidden=1024,pdl=on,residual=add,constant_weight=on",
                           "hidden=128,pdl=on,y_placement=in_place"}) {
    run(spec_of(text), {40, 1, 3}, 5000);
    if (HasFatalFailure()) return;
  }
}

TEST_F(PdlTest, IdleRowsOfABlockWaitToo) {
  for (const char* text : {"hidden=64,pdl=on", "hidden=128,pdl=on,residual=add",
                           "hidden=256,pdl=on,y_placement=in_place"}) {
    const NormSpec spec = spec_of(text);
    const Target target{cuda->sm()};
    const int multiprocessors = cuda->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    const LaunchFacts facts(spec, launch_plan(spec, target), target, multiprocessors);
    const int64_t rows = (facts.few_rows.count + 13) | 1;
    const Schedule& taken = schedule_of(facts.tuning, choose_entry(facts, rows, /*packed=*/true));
    ASSERT_NE(rows % taken.max_rows_per_block, 0)
        << text << ": choose a number of rows that leaves some idle";
    run(spec, {rows, 1, 1}, 5000);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace rmsjit::gpu
