// hidden=4096,x=bf16,residual=add,pdl=on on sm_90: threads=128,rows=1,registers=4,shared=0,weight=early,trigger=wait,chunk=4
#ifndef RMSJIT_SPEC_CUH
#define RMSJIT_SPEC_CUH
#include "rmsnorm.cuh"
namespace rmsjit {
struct Spec {
  using X = bf16_t;
  using W = bf16_t;
  using R = bf16_t;
  using Y = bf16_t;
  static constexpr int kHidden = 4096;
  static constexpr float kInvHidden = 0x1p-12f;
  static constexpr bool kHeads = false;
  static constexpr bool kHasWeight = true;
  static constexpr bool kOnePlus = false;
  static constexpr bool kResidual = true;
  static constexpr bool kYInPlace = false;
  static constexpr bool kResidualInPlace = true;
  static constexpr AddRound kAddRound = AddRound::kRounded;
  static constexpr MulRound kMulRound = MulRound::kOnce;
  static constexpr bool kExactRoot = false;
  static constexpr bool kPdl = true;
  static constexpr bool kConstantWeight = false;
  static constexpr int kThreads = 128;
  static constexpr int kMaxRows = 1;
  static constexpr int kRegisterSlots = 4;
  static constexpr int kSharedSlots = 0;
  static constexpr bool kWeightEarly = true;
  static constexpr bool kTriggerFirst = true;
  static constexpr int kChunk = 4;
  static constexpr int kSharedBytes = 528;
};
}  // namespace rmsjit
#endif
