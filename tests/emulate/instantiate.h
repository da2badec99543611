// SPDX-License-Identifier: Apache-2.0
// The head of every generated unit: the kernel template on top of the host twin, and the wrapper
// that erases the type of a body. The twin comes first, so that device.cuh is empty.
#ifndef RMSJIT_TESTS_EMULATE_INSTANTIATE_H_
#define RMSJIT_TESTS_EMULATE_INSTANTIATE_H_

#include <type_traits>

#include "tests/emulate/device_host.h"
// Found through the include path: a changed copy of the template for the mutation check.
#include "realign.cuh"
#include "rmsnorm.cuh"
#include "tests/emulate/kernel.h"

namespace rmsjit::emulate {

template <class Spec, bool kPacked>
void run_body(const void* params, void* scratch) {
  rmsnorm_rows<Spec, kPacked>(*static_cast<const RmsNormParams*>(params),
                              *static_cast<Scratch<Spec>*>(scratch));
}

// Few, Many: void where the plan has no such schedule.
template <class Spec, class Few, class Many>
constexpr Kernel make_kernel(int index, const char* spec_text) {
  constexpr size_t kBytes = sizeof(Scratch<Spec>);
  constexpr size_t kAlign = alignof(Scratch<Spec>);
  Kernel kernel{
      index,
      spec_text,
      {{&run_body<Spec, true>, kBytes, kAlign}, {&run_body<Spec, false>, kBytes, kAlign}, {}, {}}};
  if constexpr (!std::is_void_v<Few>) {
    kernel.entries[2] = {&run_body<Few, !Spec::kRealign>, sizeof(Scratch<Few>),
                         alignof(Scratch<Few>)};
  }
  if constexpr (!std::is_void_v<Many>) {
    kernel.entries[3] = {&run_body<Many, !Spec::kRealign>, sizeof(Scratch<Many>),
                         alignof(Scratch<Many>)};
  }
  return kernel;
}

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_INSTANTIATE_H_
