// SPDX-License-Identifier: Apache-2.0
// apache-tvm-ffi, which FlashInfer and the CuTe DSL use.
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/c_env_api.h>
#include <tvm/ffi/function.h>

#include "taken.h"

using tvm::ffi::TensorView;

static Tensor described(const TensorView& t) {
  return {t.data_ptr(), t.size(0), t.size(1), t.stride(0), t.dtype().bits};
}

static void rms_norm(TensorView out, TensorView x, TensorView weight, double eps) {
  void* stream = TVMFFIEnvGetStream(x.device().device_type, x.device().device_id);
  take(described(out), described(x), weight.data_ptr(), eps, stream);
}

TVM_FFI_DLL_EXPORT_TYPED_FUNC(rms_norm, rms_norm);
