// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/gpu_fixture.h"

#include <dlfcn.h>

#include "rmsjit/spec_text.h"

namespace rmsjit::gpu {

bool short_run() { return getenv("RMSJIT_GPU_SHORT") != nullptr; }

int64_t heads_of(const NormSpec& spec, int64_t turn) {
  constexpr int64_t kCounts[] = {8, 3, 6};
  return spec.layout == Layout::kHeads ? kCounts[turn % 3] : 1;
}

rmsjit_args tight_args(const NormSpec& spec, const bench::TensorSet& set, int64_t tokens) {
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = set.x.data();
  args.y = spec.y_placement == YPlacement::kInPlace ? set.x.data() : set.y.data();
  if (spec.has_weight()) args.weight = set.weight.data();
  args.tokens = tokens;
  args.x_token_stride = args.y_token_stride = spec.hidden;
  args.eps = 1e-6f;
  if (spec.has_residual()) {
    const bool in_place = spec.residual_placement == ResidualPlacement::kInPlace;
    args.residual = set.residual.data();
    args.residual_out = in_place ? set.residual.data() : set.residual_out.data();
    args.residual_token_stride = args.residual_out_token_stride = spec.hidden;
  }
  return args;
}

std::vector<char> bytes_of(const bench::Buffer& buffer) {
  std::vector<char> out(buffer.bytes());
  buffer.download(out.data(), out.size());
  return out;
}

void* driver_symbol(const char* name) {
  static void* const library = dlopen("libcuda.so.1", RTLD_NOW);
  return library == nullptr ? nullptr : dlsym(library, name);
}

NormSpec OnDevice::spec_of(const char* text) const {
  return canonical(*parse_spec(text), Target{cuda->sm()});
}

void OnDevice::expect_launch(const rmsjit_kernel* kernel, const rmsjit_args& args, CUstream on,
                             rmsjit_status wanted) {
  rmsjit_error error{};
  EXPECT_EQ(rmsjit_kernel_launch(kernel, &args, on, &error), wanted) << error.message;
}

CUcontext OnDevice::current() const {
  CUcontext out = nullptr;
  cuda->check(cuda->api().cuCtxGetCurrent(&out), "cuCtxGetCurrent");
  return out;
}

}  // namespace rmsjit::gpu
