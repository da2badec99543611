// SPDX-License-Identifier: Apache-2.0
#include "runtime/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <atomic>
#include <memory>

#include "runtime/errors.h"

namespace rmsjit {
namespace {

constexpr const char* kLibrary = "libcuda.so.1";
// No lock, so that a fork during another thread's cuInit leaves none behind. Opening twice at the
// same time is harmless; the first one is kept.
constinit std::atomic<const Driver*> opened_driver{nullptr};

constexpr int kOldestServedMajor = 12;  // NVRTC 12.4 is the oldest that compiles the template

}  // namespace

#define RMSJIT_SYMBOL_TEXT_INNER(name) #name
#define RMSJIT_SYMBOL_TEXT(name) RMSJIT_SYMBOL_TEXT_INNER(name)

struct DriverLoader {
  static Status resolve(void* library, DriverFunctions& functions) {
    const auto find = [library](auto& pointer, const char* symbol) {
      pointer =
          reinterpret_cast<std::remove_reference_t<decltype(pointer)>>(dlsym(library, symbol));
      return pointer != nullptr;
    };
#define RMSJIT_DRIVER_REQUIRED(name)                   \
  if (!find(functions.name, RMSJIT_SYMBOL_TEXT(name))) \
    return errors::driver_symbol_missing(kLibrary, RMSJIT_SYMBOL_TEXT(name));
#define RMSJIT_DRIVER_OPTIONAL(name) find(functions.name, RMSJIT_SYMBOL_TEXT(name));
#include "runtime/driver_functions.inc"
#undef RMSJIT_DRIVER_REQUIRED
#undef RMSJIT_DRIVER_OPTIONAL
    return {};
  }

  static Result<std::unique_ptr<Driver>> open() {
    // Never closed: the driver keeps threads and exit handlers of its own.
    void* library = dlopen(kLibrary, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return errors::driver_not_opened(kLibrary, dlerror());
    auto driver = std::make_unique<Driver>();
    RMSJIT_RETURN_IF_ERROR(resolve(library, driver->functions_));
    const CUresult started = driver->functions_.cuInit(0);
    if (started != CUDA_SUCCESS) {
      return errors::driver_not_started(driver->check(started, "cuInit").message());
    }
    RMSJIT_RETURN_IF_ERROR(driver->check(driver->functions_.cuDriverGetVersion(&driver->version_),
                                         "cuDriverGetVersion"));
    return driver;
  }
};

Result<const Driver*> Driver::get() {
  if (const Driver* driver = opened()) return driver;
  RMSJIT_ASSIGN_OR_RETURN(std::unique_ptr<Driver> driver, DriverLoader::open());
  const Driver* first = nullptr;
  if (!opened_driver.compare_exchange_strong(first, driver.get())) return first;
  return driver.release();
}

const Driver* Driver::opened() { return opened_driver.load(std::memory_order_acquire); }

std::vector<int> Driver::loadable_majors() const {
  std::vector<int> majors;
  for (int major = version_ / 1000; major >= kOldestServedMajor; --major) majors.push_back(major);
  return majors;
}

bool is_image_refusal(CUresult result) {
  switch (result) {
    case CUDA_ERROR_INVALID_IMAGE:
    case CUDA_ERROR_NO_BINARY_FOR_GPU:
    case CUDA_ERROR_INVALID_PTX:
    case CUDA_ERROR_UNSUPPORTED_PTX_VERSION:
    case CUDA_ERROR_JIT_COMPILER_NOT_FOUND:
    case CUDA_ERROR_JIT_COMPILATION_DISABLED:
    case CUDA_ERROR_INVALID_SOURCE:
    case CUDA_ERROR_NOT_FOUND:
      return true;
    default:
      return false;
  }
}

Status Driver::check(CUresult result, const char* call) const {
  if (result == CUDA_SUCCESS) return {};
  const char* name = nullptr;
  const char* text = nullptr;
  functions_.cuGetErrorName(result, &name);
  functions_.cuGetErrorString(result, &text);
  return {is_image_refusal(result) ? StatusCode::kUnsupported : StatusCode::kDriver,
          fmt::format("{} failed: {} ({}): {}", call, name == nullptr ? "unknown" : name,
                      static_cast<int>(result), text == nullptr ? "no description" : text)};
}

Result<DeviceFacts> Driver::device_facts(int device) const {
  int count = 0;
  RMSJIT_RETURN_IF_ERROR(check(functions_.cuDeviceGetCount(&count), "cuDeviceGetCount"));
  if (device < 0 || device >= count) return errors::no_such_device(device, count);
  CUdevice handle = 0;
  RMSJIT_RETURN_IF_ERROR(check(functions_.cuDeviceGet(&handle, device), "cuDeviceGet"));
  int major = 0, minor = 0;
  DeviceFacts facts;
  const auto ask = [&](CUdevice_attribute attribute, int* value) {
    return check(functions_.cuDeviceGetAttribute(value, attribute, handle), "cuDeviceGetAttribute");
  };
  RMSJIT_RETURN_IF_ERROR(ask(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, &major));
  RMSJIT_RETURN_IF_ERROR(ask(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, &minor));
  RMSJIT_RETURN_IF_ERROR(ask(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, &facts.multiprocessors));
  facts.sm = major * 10 + minor;
  return facts;
}

RelaxedCapture::RelaxedCapture(const Driver& driver) : driver_(driver) {
  exchanged_ = driver.functions().cuThreadExchangeStreamCaptureMode(&mode_) == CUDA_SUCCESS;
}

RelaxedCapture::~RelaxedCapture() {
  if (exchanged_) driver_.functions().cuThreadExchangeStreamCaptureMode(&mode_);
}

CurrentContext::CurrentContext(const Driver& driver, CUcontext context) : driver_(driver) {
  CUcontext current = nullptr;
  if (driver.functions().cuCtxGetCurrent(&current) == CUDA_SUCCESS && current == context) return;
  status_ = driver.check(driver.functions().cuCtxPushCurrent(context), "cuCtxPushCurrent");
  pushed_ = status_.ok();
}

CurrentContext::~CurrentContext() {
  CUcontext popped = nullptr;
  if (pushed_) driver_.functions().cuCtxPopCurrent(&popped);
}

}  // namespace rmsjit
