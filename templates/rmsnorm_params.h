// SPDX-License-Identifier: Apache-2.0
// RmsNormParams: what differs from call to call, laid out once for the host and the device. No
// functions and no includes: NVRTC reads this file too. A change here is a new kParamsAbi, which is
// part of every key.
#ifndef RMSJIT_RMSNORM_PARAMS_H_
#define RMSJIT_RMSNORM_PARAMS_H_

namespace rmsjit {

enum : int { kParamsAbi = 4 };

// Strides in elements; zero for an extent of one. Tokens and heads mean the same to the kernel: a
// launch of too many tokens for its grid calls them heads, and the heads tokens.
struct TensorStrides {
  long long token;
  long long head;
};

// What the loads of x wait for first: a kernel fetches its arguments by lines of 64 bytes, each
// when it is touched, and on sm_90 the first of them holds the first 48 bytes. Measured for small
// rows of heads (tools/bench/results/NOTES.md), faster with block_rows too than with blockDim.y.
struct RmsNormParams {
  const void* x;  // [tokens, heads, hidden]
  TensorStrides x_stride;
  const void* weight;    // [hidden], or null when weightless
  long long tokens;      // > 0
  unsigned heads_shift;  // a block has 2^heads_shift heads of each of its tokens
  unsigned block_rows;   // rows of a block: blockDim.y
  void* y;               // may be x itself, as the spec declares
  TensorStrides y_stride;
  const void* residual;  // [tokens, heads, hidden], or null
  TensorStrides residual_stride;
  float eps;           // finite, >= 0
  void* residual_out;  // may be residual itself, as the spec declares
  TensorStrides residual_out_stride;
};

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_PARAMS_H_
