// SPDX-License-Identifier: Apache-2.0
// The kernel, one body for every variant. row_map.cuh says which thread has what of a row,
// row_work.cuh what it does with it, row_io.cuh moves it, row_math.cuh is the formula, reduce.cuh
// the sum.
//
// A row moves x and residual once (slots that fit neither registers nor shared memory: twice, the
// second time from L2), residual_out and y once, the weight once from L2. Limits: hidden 1 ..
// 262144, 64-bit strides (32-bit ones in bytes where packed), and the blocks of a grid
// (runtime/launch_grid.h).
#ifndef RMSJIT_RMSNORM_CUH
#define RMSJIT_RMSNORM_CUH

#include "row_work.cuh"

namespace rmsjit {

// Blocks that a multiprocessor has registers for at least, 1024 threads of them; 0: as ptxas likes.
template <class Spec>
struct Blocks {
  enum : bool {
    // Under PDL ptxas takes 71 registers for 32 of h and the loads in flight beside it: a block of
    // 256 threads less (8192 elements, an unrounded sum, 256 rows: 22 % slower). Tensors of f32
    // have longer loads, which would spill.
    kTight = Spec::kPdl && Spec::kResidual && Spec::kHasWeight && Spec::kCluster == 1 &&
             Shape<Spec>::kEven && Spec::kRegisterSlots * HeldLeaf<Spec>::kWords == 32 &&
             int{Spec::X::kBytes} == 2 && int{Spec::R::kBytes} == 2 && int{Spec::W::kBytes} == 2,
    // Left to itself it loads the second leaf of the weight into what x gives up: 1 to 3 %. Rows
    // that are realigned need more.
    kRoomy = !Spec::kPdl && !Spec::kResidual && Shape<Spec>::kSlots == 2 && !Spec::kRealign
  };
  enum : int { kLeast = kTight || kRoomy ? 1024 / (Spec::kThreads * Spec::kMaxRows) : 0 };
};

// Every thread of the block runs all of it: one whose row is not there skips its loads and stores,
// or its stores alone (Shape::kStandIn), or branches around both halves of its work
// (RowWork::kBranches) and so around a trigger at the loads, never a wait, a barrier or a shuffle.
// Without branches ptxas has loads and addresses in one stretch of code.
template <class Spec, bool kPacked>
RMSJIT_DEVICE void rmsnorm_rows(const RmsNormParams& p, Scratch<Spec>& scratch) {
  static_assert(sizeof(Scratch<Spec>) == Spec::kSharedBytes,
                "host and device disagree on shared memory: see render_spec.cc");
  static_assert(!kPacked || !Spec::kResidual || Spec::kMaxRows == 1 ||
                    LaneReads<Spec>::kCount == 1 || RowWork<Spec, kPacked>::kBranches,
                "host and device disagree on where a fused add branches: see render_spec.cc");
  if constexpr (Spec::kCluster > 1) begin_cluster(scratch);
  using Work = RowWork<Spec, kPacked>;
  if constexpr (Work::kWeightAhead) {
    if (thread_x() == 0) bring_into_l2(p.weight, Spec::kHidden * int{Spec::W::kBytes});
  }
  const Place<kPacked> at = place_of_row<Spec, kPacked>(p);
  const bool works = !Work::kBranches || at.there;
  Work work(p, scratch, at);
  if constexpr (Work::kWeightEarly && Spec::kConstantWeight) work.load_early_weights();
  if constexpr (Spec::kPdl) {
    // ptxas would move all of that behind the wait, next to its use.
    compute_before(p.y);
    pdl_wait();
  }
  if constexpr (Spec::kTriggerAtWait) pdl_trigger();
  float sum;
  if constexpr (Work::kBranches) {
    // Behind the branch, the addresses would be between the terms and their sum. Where there is no
    // branch, ptxas finds a better place for them than here.
    const RowPartials partials = row_partials<Spec, true>(scratch);
    float terms = 0.0f;
    if (works) terms = work.read();
    sum = row_sum<Spec>(terms, partials, scratch);
  } else {
    const float terms = work.read();
    sum = row_sum<Spec>(terms, row_partials<Spec, false>(scratch), scratch);
  }
  const float rstd = reciprocal_rms<Spec>(sum, p);
  if (works) work.write(rstd);
  if constexpr (Spec::kTriggerAtEnd) pdl_trigger();
}

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_CUH
