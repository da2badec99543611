// SPDX-License-Identifier: Apache-2.0
// RmsNormParams: what differs from call to call, laid out once for the host and the device. No
// functions and no includes: NVRTC reads this file too. A change here is a new kParamsAbi, which is
// part of every key.
#ifndef RMSJIT_RMSNORM_PARAMS_H_
#define RMSJIT_RMSNORM_PARAMS_H_

namespace rmsjit {

enum : int { kParamsAbi = 7 };

// The upper halves of what createpolicy.fractional gives on sm_90 for L2::evict_unchanged, which is
// how a load without a policy treats L2, and for L2::evict_last; the lower ones are 0. Not
// evict_normal: that takes lines from whoever asked L2 to keep them. An argument, because a kernel
// that chooses by its grid has a comparison before its first load.
enum : unsigned { kEvictUnchanged = 0x10f00000, kEvictLast = 0x14f00000 };

// Strides in bytes; zero for an extent of one. Tokens and heads mean the same to the kernel: a
// launch of too many tokens for its grid calls them heads, and the heads tokens.
//
// In the order of need: a kernel fetches its arguments by lines of 64 bytes, each when it is
// touched, and on sm_90 the first of them holds the first 48 bytes. Plain rows need no other, rows
// of the fused add and query/key norms the next one (tools/bench/results/NOTES.md). That is why a
// stride or a count is cut in two: the packed entries are taken only where the lower 32 bits are
// all of it, and an address is one instruction then; `upper` is
// read by the entries for other rows.
struct RmsNormParams {
  const void* x;       // [tokens, heads, hidden]
  const void* weight;  // [hidden], or null when weightless
  void* y;             // may be x itself, as the spec declares
  unsigned x_token_stride;
  unsigned y_token_stride;
  unsigned tokens;  // > 0 with `upper`; of a packed launch at most 2^31 - 1
  float eps;        // finite, >= 0
  union {
    struct {
      unsigned short shift;         // a block has 2^shift heads of each of its tokens
      unsigned short block_tokens;  // tokens of a block: blockDim.y >> shift
    } heads;
    unsigned input_policy;  // without heads: kEvictUnchanged or kEvictLast, for x and the residual
  };
  unsigned x_head_stride;
  const void* residual;  // [tokens, heads, hidden], or null
  void* residual_out;    // may be residual itself, as the spec declares
  unsigned residual_token_stride;
  unsigned residual_out_token_stride;
  unsigned y_head_stride;
  unsigned residual_head_stride;
  unsigned residual_out_head_stride;
  struct {
    unsigned x_token_stride;
    unsigned y_token_stride;
    unsigned tokens;
    unsigned x_head_stride;
    unsigned residual_token_stride;
    unsigned residual_out_token_stride;
    unsigned y_head_stride;
    unsigned residual_head_stride;
    unsigned residual_out_head_stride;
  } upper;
};

}  // namespace rmsjit

#endif  // RMSJIT_RMSNORM_PARAMS_H_
