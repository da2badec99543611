// SPDX-License-Identifier: Apache-2.0
// RmsNormParams: what differs from call to call, laid out once for the host and the device. No
// functions and no includes: NVRTC reads this file too. A change here is a new kParamsAbi, which is
// part of every key.
#ifndef RMSJIT_RMSNORM_PARAMS_H_
#define RMSJIT_RMSNORM_PARAMS_H_

namespace rmsjit {

enum : int { kParamsAbi = 5 };

// Strides in elements; zero for an extent of one. Tokens and heads mean the same to the kernel: a
// launch of too many tokens for its grid calls them heads, and the heads tokens.
//
// In the order of need: a kernel fetches its arguments by lines of 64 bytes, each when it is
// touched, and on sm_90 the first of them holds the first 48 bytes. Plain rows need no other, rows
// of the fused add the next one. Measured (tools/bench/results/NOTES.md), as was that heads are
// faster with block_rows from here than with blockDim.y.
struct RmsNormParams {
  const void* x;       // [tokens, heads, hidden]
  const void* weight;  // [hidden], or null when weightless
  void* y;             // may be x itself, as the spec declares
  long long x_token_stride;
  long long y_token_stride;
  float eps;                   // finite, >= 0
  unsigned short heads_shift;  // a block has 2^heads_shift heads of each of its tokens
  unsigned short block_rows;   // rows of a block: blockDim.y
  long long tokens;            // > 0
  const void* residual;        // [tokens, heads, hidden], or null
  long long residual_token_stride;
  void* residual_out;  // may be residual itself, as the spec declares
  long long residual_out_token_stride;
  long long x_head_stride;
  long long y_head_stride;
  long long residual_head_stride;
  long long residual_out_head_stride;
};

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_PARAMS_H_
