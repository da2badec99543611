// SPDX-License-Identifier: Apache-2.0
// What a generated unit hands over of each kernel: type-erased, so that the harness is compiled
// once. Included by every generated unit, so it includes almost nothing.
#ifndef RMSJIT_TESTS_EMULATE_KERNEL_H_
#define RMSJIT_TESTS_EMULATE_KERNEL_H_

#include <cstddef>

namespace rmsjit::emulate {

using Body = void (*)(const void* params, void* scratch);

struct Kernel {
  int index;  // in kernel_set()
  const char* spec_text;
  struct {
    Body body;
    size_t scratch_bytes;
    size_t scratch_align;
  } entries[4];  // by KernelEntry; no body where the plan has no such entry
};

struct KernelList {
  const Kernel* kernels;
  size_t count;
};
// Written by the generator: the units' lists, nullptr at the end.
extern const KernelList* const kUnits[];

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_KERNEL_H_
