// SPDX-License-Identifier: Apache-2.0
// From a caller's rmsjit_args to the kernel's parameter block: every check that launch promises,
// then the block, the grid and the entry. Pure; no allocation, lock or call into the driver unless
// there is something to complain about.
#ifndef RMSJIT_LAUNCH_ARGS_H_
#define RMSJIT_LAUNCH_ARGS_H_

#include <cstdint>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "runtime/launch_grid.h"
#include "templates/render_spec.h"
#include "templates/rmsnorm_params.h"

namespace rmsjit {

// What launch needs to know of a kernel, worked out once in prepare.
struct LaunchFacts {
  LaunchFacts() = default;
  // Requires a canonical spec.
  LaunchFacts(const NormSpec& spec, const Tuning& tuning, const Target& target,
              int multiprocessors);

  unsigned input_policy(int64_t rows) const {
    return rows > rows_in_l2 ? kEvictLast : kEvictUnchanged;
  }

  int64_t hidden = 0;
  // Bytes an element; 0 where the tensor is absent.
  int32_t x_bytes = 0;
  int32_t weight_bytes = 0;
  int32_t residual_bytes = 0;
  int32_t y_bytes = 0;
  bool has_heads = false;
  bool y_in_place = false;
  bool residual_in_place = false;
  bool pdl = false;
  int multiprocessors = 0;
  int64_t rows_in_l2 = kAnyRows;
  bool extras_are_packed = true;  // takes_packed of the next two
  RowCounts few_rows;             // of the launches that take KernelEntry::kFew
  RowCounts many_rows;            // and of those that take KernelEntry::kMany
  uint32_t dynamic_shared_bytes[kKernelEntries] = {};
  uint32_t misaligned = 0;  // bits that no address has which suits the widest element
  Tuning tuning;
};

struct LaunchBlock {
  RmsNormParams params;
  LaunchGrid grid;  // grid.x is 0 where there are no rows: nothing to launch
  KernelEntry entry = KernelEntry::kAny;
};

// Fills `block`. No rows is success whatever the pointers are. Requires: args is of this version
// (c_structs.h). Errors: kInvalidArgument, naming the field, its value and what is allowed.
Status make_launch_block(const LaunchFacts& facts, const rmsjit_args& args, LaunchBlock& block);

// Whether args ask for no rows at all, which is success before any other check.
// Errors: kInvalidArgument (a negative count).
Result<bool> asks_for_nothing(Layout layout, const rmsjit_args& args);

}  // namespace rmsjit

#endif  // RMSJIT_LAUNCH_ARGS_H_
