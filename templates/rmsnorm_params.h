// SPDX-License-Identifier: Apache-2.0
// RmsNormParams: what differs from call to call, laid out once for the host and the device. No
// functions and no includes: NVRTC reads this file too. A change here is a new kParamsAbi, which is
// part of every key.
#ifndef RMSJIT_RMSNORM_PARAMS_H_
#define RMSJIT_RMSNORM_PARAMS_H_

namespace rmsjit {

enum : int { kParamsAbi = 3 };

// Strides in elements; zero for an extent of one. Tokens and heads mean the same
// to the kernel: a launch of too many tokens for its grid calls them heads, and the heads tokens.
struct TensorStrides {
  long long token;
  long long head;
};

struct RmsNormParams {
  const void* x;         // [tokens, heads, hidden]
  const void* weight;    // [hidden], or null when weightless
  const void* residual;  // [tokens, heads, hidden], or null
  void* residual_out;    // may be residual itself, as the spec declares
  void* y;               // may be x itself, as the spec declares
  TensorStrides x_stride;
  TensorStrides residual_stride;
  TensorStrides residual_out_stride;
  TensorStrides y_stride;
  long long tokens;      // > 0
  unsigned heads_shift;  // a block has 2^heads_shift heads of each of its tokens
  float eps;             // finite, >= 0
};

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_PARAMS_H_
