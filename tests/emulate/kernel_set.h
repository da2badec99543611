// SPDX-License-Identifier: Apache-2.0
// The kernels that the emulator runs: every covered spec under the library's own plan and under
// forced ones, because no plan may change a bit. The generator compiles this list and the tests
// read it, so that both speak of the same kernel by its index.
#ifndef RMSJIT_TESTS_EMULATE_KERNEL_SET_H_
#define RMSJIT_TESTS_EMULATE_KERNEL_SET_H_

#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"
#include "templates/render_spec.h"

namespace rmsjit::emulate {

inline constexpr Target kTarget{90, false};

struct KernelPlan {
  int spec_index;  // plans of one spec are neighbours and share it
  NormSpec spec;
  Tuning tuning;
  // The library's own plan and one forced plan of each spec: what the short form of the tests runs.
  bool in_short;
};

std::vector<KernelPlan> kernel_set();

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_KERNEL_SET_H_
