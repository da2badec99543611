// SPDX-License-Identifier: Apache-2.0
#include "tests/runtime/stub_driver/stub_driver.h"

#include <stdlib.h>

#include <iterator>
#include <utility>
#include <vector>

#include "tests/runtime/stub_driver/stub_objects.h"

namespace {

using namespace rmsjit::stub;

Driver driver;
CUctx_st primary[kMostDevices] = {{0, 1}, {1, 2}, {2, 3}, {3, 4}};
std::atomic<unsigned long long> next_context_id{100};
thread_local std::vector<CUcontext> current;
thread_local uint64_t launched = 0;
thread_local CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_GLOBAL;

CUresult enter(Call call) {
  driver.calls[call].fetch_add(1, std::memory_order_relaxed);
  driver.total.fetch_add(1, std::memory_order_relaxed);
  return driver.fail[call];
}

CUresult enter_disturbing(Call call) {
  if (mode != CU_STREAM_CAPTURE_MODE_RELAXED) driver.disturbing++;
  CUstream captured = driver.captured;
  if (captured == nullptr || mode != CU_STREAM_CAPTURE_MODE_GLOBAL) return enter(call);
  captured->status = CU_STREAM_CAPTURE_STATUS_INVALIDATED;
  return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
}

// Functions are loaded when first needed, which takes memory of the device.
CUresult make_resident(CUfunction function) {
  if (function->resident) return CUDA_SUCCESS;
  if (driver.memory_full) return CUDA_ERROR_OUT_OF_MEMORY;
  function->resident = true;
  return CUDA_SUCCESS;
}

CUcontext top() { return current.empty() ? nullptr : current.back(); }
CUcontext context_of(CUstream stream) { return stream == nullptr ? top() : stream->context; }

CUresult judge_image(const char* image, int sm) {
  if (driver.refuse_images > 0) {
    driver.refuse_images--;
    return driver.refusal;
  }
  return answer_to(image, sm);
}

}  // namespace

// Each failure that a test asked for is answered before anything is done.
#define RMSJIT_STUB_ENTER(call) \
  if (const CUresult wanted = enter(call); wanted != CUDA_SUCCESS) return wanted
#define RMSJIT_STUB_ENTER_DISTURBING(call) \
  if (const CUresult wanted = enter_disturbing(call); wanted != CUDA_SUCCESS) return wanted

extern "C" {

CUresult cuInit(unsigned) {
  RMSJIT_STUB_ENTER(kcuInit);
  return getenv("RMSJIT_STUB_SICK") == nullptr ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}
CUresult cuDriverGetVersion(int* version) {
  RMSJIT_STUB_ENTER(kcuDriverGetVersion);
  *version = driver.version;
  return CUDA_SUCCESS;
}
CUresult cuGetErrorName(CUresult result, const char** name) {
  *name = result == CUDA_ERROR_OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : result == CUDA_ERROR_INVALID_IMAGE ? "CUDA_ERROR_INVALID_IMAGE"
                                               : "CUDA_ERROR_STUB";
  return CUDA_SUCCESS;
}
CUresult cuGetErrorString(CUresult, const char** text) {
  *text = "as the test asked";
  return CUDA_SUCCESS;
}
CUresult cuDeviceGet(CUdevice* device, int ordinal) {
  RMSJIT_STUB_ENTER(kcuDeviceGet);
  if (ordinal < 0 || ordinal >= driver.device_count) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetCount(int* count) {
  RMSJIT_STUB_ENTER(kcuDeviceGetCount);
  *count = driver.device_count;
  return CUDA_SUCCESS;
}
CUresult cuDeviceGetAttribute(int* value, CUdevice_attribute attribute, CUdevice device) {
  RMSJIT_STUB_ENTER(kcuDeviceGetAttribute);
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) *value = driver.sm[device] / 10;
  if (attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR) *value = driver.sm[device] % 10;
  if (attribute == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT) {
    *value = driver.multiprocessors[device];
  }
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRetain(CUcontext* context, CUdevice device) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuDevicePrimaryCtxRetain);
  driver.retained[device]++;
  *context = &primary[device];
  return CUDA_SUCCESS;
}
CUresult cuDevicePrimaryCtxRelease(CUdevice device) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuDevicePrimaryCtxRelease_v2);
  driver.retained[device]--;
  return CUDA_SUCCESS;
}
CUresult cuCtxGetCurrent(CUcontext* context) {
  RMSJIT_STUB_ENTER(kcuCtxGetCurrent);
  *context = top();
  return CUDA_SUCCESS;
}
CUresult cuCtxGetDevice(CUdevice* device) {
  RMSJIT_STUB_ENTER(kcuCtxGetDevice);
  if (top() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  *device = top()->device;
  return CUDA_SUCCESS;
}
#ifndef RMSJIT_STUB_OLD  // CUDA 12.3 has neither
CUresult cuCtxGetId(CUcontext context, unsigned long long* id) {
  RMSJIT_STUB_ENTER(kcuCtxGetId);
  *id = context->id;
  return CUDA_SUCCESS;
}
#endif
CUresult cuCtxPushCurrent(CUcontext context) {
  RMSJIT_STUB_ENTER(kcuCtxPushCurrent_v2);
  current.push_back(context);
  return CUDA_SUCCESS;
}
CUresult cuCtxPopCurrent(CUcontext* context) {
  RMSJIT_STUB_ENTER(kcuCtxPopCurrent_v2);
  if (current.empty()) return CUDA_ERROR_INVALID_CONTEXT;
  *context = current.back();
  current.pop_back();
  return CUDA_SUCCESS;
}
CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode* exchanged) {
  RMSJIT_STUB_ENTER(kcuThreadExchangeStreamCaptureMode);
  std::swap(mode, *exchanged);
  return CUDA_SUCCESS;
}
CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus* status) {
  RMSJIT_STUB_ENTER(kcuStreamIsCapturing);
  *status = stream == nullptr ? CU_STREAM_CAPTURE_STATUS_NONE : stream->status;
  return stream == nullptr ? CUDA_SUCCESS : stream->answer;
}
CUresult cuStreamGetCtx(CUstream stream, CUcontext* context) {
  RMSJIT_STUB_ENTER(kcuStreamGetCtx);
  *context = context_of(stream);
  return *context == nullptr ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}
CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuModuleLoadData);
  if (top() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  const CUresult judged = judge_image(static_cast<const char*>(image), driver.sm[top()->device]);
  if (judged != CUDA_SUCCESS) return judged;
  *module = of_the_driver(new CUmod_st{top(), {}, image_hash(image)});
  driver.modules++;
  return CUDA_SUCCESS;
}
CUresult cuModuleUnload(CUmodule module) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuModuleUnload);
  if (top() != module->context) return CUDA_ERROR_INVALID_CONTEXT;
  delete module;
  driver.modules--;
  return CUDA_SUCCESS;
}
CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuModuleGetFunction);
  constexpr const char* kNames[] = {"rmsnorm_packed", "rmsnorm_any", "rmsnorm_few", "rmsnorm_many"};
  for (size_t i = 0; i < std::size(kNames); ++i) {
    if (std::strcmp(name, kNames[i]) != 0) continue;
    module->functions[i] = {module, kNames[i], false, false};
    *function = &module->functions[i];
    return CUDA_SUCCESS;
  }
  return CUDA_ERROR_NOT_FOUND;
}
CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuFuncSetAttribute);
  if (attribute == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED) {
    function->large_clusters = value == 1;
    return CUDA_SUCCESS;
  }
  if (attribute != CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES) return CUDA_ERROR_INVALID_VALUE;
  function->dynamic_shared_bytes = static_cast<unsigned>(value);
  return CUDA_SUCCESS;
}
CUresult cuOccupancyMaxActiveClusters(int* clusters, CUfunction function,
                                      const CUlaunchConfig* config) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuOccupancyMaxActiveClusters);
  if (config->gridDimX > 8 && !function->large_clusters) return CUDA_ERROR_INVALID_CLUSTER_SIZE;
  if (!function->may_have(config->sharedMemBytes)) return CUDA_ERROR_INVALID_VALUE;
  *clusters = config->gridDimX <= 8 || driver.room_for_large_clusters ? 1 : 0;
  return CUDA_SUCCESS;
}
CUresult cuFuncGetAttribute(int* value, CUfunction_attribute, CUfunction function) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuFuncGetAttribute);
  *value = 32;
  return make_resident(function);
}
#ifndef RMSJIT_STUB_OLD
CUresult cuFuncLoad(CUfunction function) {
  RMSJIT_STUB_ENTER_DISTURBING(kcuFuncLoad);
  return make_resident(function);
}
#endif
#ifdef RMSJIT_STUB_BARE  // for host_bench.cc: nothing is counted, so that threads share nothing
extern const int rmsjit_stub_is_bare = 1;
CUresult cuLaunchKernelEx(const CUlaunchConfig*, CUfunction, void**, void**) {
  return CUDA_SUCCESS;
}
#else
CUresult cuLaunchKernelEx(const CUlaunchConfig* config, CUfunction function, void** params,
                          void**) {
  RMSJIT_STUB_ENTER(kcuLaunchKernelEx);
  if (top() == nullptr) return CUDA_ERROR_INVALID_CONTEXT;
  if (context_of(config->hStream) != function->module->context) return CUDA_ERROR_INVALID_HANDLE;
  if (const CUresult loaded = make_resident(function); loaded != CUDA_SUCCESS) return loaded;
  if (!function->may_have(config->sharedMemBytes)) return CUDA_ERROR_INVALID_VALUE;
  launched = function->module->hash;
  driver.last.keep(function->name, *config, params[0], driver.params_bytes);
  if (driver.on_launch != nullptr) driver.on_launch(params[0]);
  return CUDA_SUCCESS;
}
#endif

static CUcontext make_context(int device) {
  return of_the_driver(new CUctx_st{device, next_context_id++});
}
static void renew_context(CUcontext context) { context->id = next_context_id++; }
static CUstream make_stream(CUcontext context) {
  return of_the_driver(new CUstream_st{context, CU_STREAM_CAPTURE_STATUS_NONE, CUDA_SUCCESS});
}
static void set_capture(CUstream stream, CUstreamCaptureStatus status, CUresult answer) {
  stream->status = status;
  stream->answer = answer;
  driver.captured = status == CU_STREAM_CAPTURE_STATUS_ACTIVE ? stream : nullptr;
}
static CUstreamCaptureMode thread_mode() { return mode; }
static uint64_t launched_image() { return launched; }
static void reset() {
  driver.~Driver();
  new (&driver) Driver;
  current.clear();
  mode = CU_STREAM_CAPTURE_MODE_GLOBAL;
}

const Control* rmsjit_stub_control() {
  static const Control kControl{&driver,     make_context, renew_context,  make_stream,
                                set_capture, thread_mode,  launched_image, reset};
  return &kControl;
}

}  // extern "C"
