// hidden=4096,x=bf16,residual=add,pdl=on on sm_90:
// threads=256,rows=1,staging=registers,weight=early,chunk=2
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
  static constexpr int kThreads = 256;
  static constexpr int kMaxRows = 1;
  static constexpr bool kReread = false;
  static constexpr bool kWeightEarly = true;
  static constexpr int kChunk = 2;
  static constexpr int kSharedBytes = 1024;
};
}  // namespace rmsjit
#endif
