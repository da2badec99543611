// SPDX-License-Identifier: Apache-2.0
// The same operator through torch's stable ABI, whose binaries outlive a torch release.
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/tensor.h>

#include "taken.h"

namespace {

Tensor described(const torch::stable::Tensor& t) {
  return {t.data_ptr(), t.size(0), t.size(1), t.stride(0), static_cast<int>(t.element_size() * 8)};
}

void rms_norm(torch::stable::Tensor out, torch::stable::Tensor x, torch::stable::Tensor weight,
              double eps) {
  take(described(out), described(x), weight.data_ptr(), eps, nullptr);
}

}  // namespace

STABLE_TORCH_LIBRARY(rmsjit_stable_layer, library) {
  library.def("rms_norm(Tensor! result, Tensor input, Tensor weight, float epsilon) -> ()");
}

STABLE_TORCH_LIBRARY_IMPL(rmsjit_stable_layer, CPU, library) {
  library.impl("rms_norm", TORCH_BOX(&rms_norm));
}
