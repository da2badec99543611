// hidden=4096,x=bf16,residual=add,pdl=on on sm_90: threads=128,rows=1,cluster=1,registers=4,shared=0,weight=early,trigger=wait,chunk=4
#ifndef RMSJIT_SPEC_CUH
#define RMSJIT_SPEC_CUH
#include "rmsnorm.cuh"
#define RMSJIT_CLUSTER_DIMS
namespace rmsjit {
struct Spec {
  using X = bf16_t;
  using W = bf16_t;
  using R = bf16_t;
  using Y = bf16_t;
  static RMSJIT_DEVICE constexpr float inv_hidden() { return 0x1p-12f; }
  enum : int {
    kHidden = 4096,
    kLeaf = 8,
    kThreads = 128,
    kMaxRows = 1,
    kCluster = 1,
    kRegisterSlots = 4,
    kSharedSlots = 0,
    kChunk = 4,
    kLaneStride = 32,
    kSharedBytes = 528,
  };
  enum : bool {
    kHeads = false,
    kHasWeight = true,
    kOnePlus = false,
    kResidual = true,
    kSumRounded = true,
    kOutputRounded = true,
    kRoundTwice = false,
    kExactRoot = false,
    kPdl = true,
    kConstantWeight = false,
    kWeightEarly = true,
    kWeightAhead = false,
    kTriggerAtWait = true,
    kTriggerAtIssue = false,
    kTriggerAtLoads = false,
    kTriggerAtEnd = false,
    kRealign = false,
    kInputPolicy = true,
  };
};
}  // namespace rmsjit
#endif
