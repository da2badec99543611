// SPDX-License-Identifier: Apache-2.0
// An operator of torch's dispatcher with vLLM's signature, as vLLM registers its own. With
// LAYER_LAUNCHES it is for CUDA tensors, asks torch for the stream and launches an empty kernel
// with as many bytes of arguments as rmsjit's: what tools/bench/host_time.py times on a device.
#include <torch/library.h>
#ifdef LAYER_LAUNCHES
#include <ATen/cuda/CUDAContext.h>
#include <cuda.h>
#include <dlfcn.h>
#endif

#include "taken.h"

namespace {

Tensor described(const at::Tensor& t) {
  return {t.data_ptr(), t.size(0), t.size(1), t.stride(0), static_cast<int>(t.itemsize() * 8)};
}

#ifdef LAYER_LAUNCHES
constexpr auto kKey = c10::DispatchKey::CUDA;
constexpr char kEmpty[] =
    ".version 7.0\n.target sm_80\n.address_size 64\n"
    ".visible .entry empty(.param .align 8 .b8 block[128]) { ret; }\n";

template <class F>
F driver(const char* name) {
  static void* library = dlopen("libcuda.so.1", RTLD_NOW);
  return reinterpret_cast<F>(dlsym(library, name));
}

CUfunction load() {
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  driver<decltype(&cuModuleLoadData)>("cuModuleLoadData")(&module, kEmpty);
  driver<decltype(&cuModuleGetFunction)>("cuModuleGetFunction")(&function, module, "empty");
  return function;
}

void* launch(const at::Tensor& x) {
  static const CUfunction function = load();
  static const auto launch_kernel = driver<decltype(&cuLaunchKernelEx)>("cuLaunchKernelEx");
  char block[128] = {};
  void* parameters[] = {block};
  CUlaunchConfig config{};
  config.gridDimX = config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.blockDimX = 512;
  config.hStream = at::cuda::getCurrentCUDAStream(x.get_device());
  TORCH_CHECK(launch_kernel(&config, function, parameters, nullptr) == CUDA_SUCCESS);
  return config.hStream;
}
#else
constexpr auto kKey = c10::DispatchKey::CPU;
void* launch(const at::Tensor&) { return nullptr; }
#endif

void rms_norm(at::Tensor& out, const at::Tensor& x, const at::Tensor& weight, double eps) {
  take(described(out), described(x), weight.data_ptr(), eps, launch(x));
}

}  // namespace

TORCH_LIBRARY(rmsjit_layers, library) {
  library.def("rms_norm(Tensor! result, Tensor input, Tensor weight, float epsilon) -> ()");
  library.impl("rms_norm", kKey, &rms_norm);
}
