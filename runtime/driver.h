// SPDX-License-Identifier: Apache-2.0
// Driver: libcuda, opened when first needed; the only user of <cuda.h>. Nothing here allocates
// device memory, copies or synchronises. Immutable once opened, so any thread may use it.
#ifndef RMSJIT_DRIVER_H_
#define RMSJIT_DRIVER_H_

#include <cuda.h>

#include <string>
#include <vector>

#include "rmsjit/status.h"

namespace rmsjit {

struct DriverFunctions {
#define RMSJIT_DRIVER_REQUIRED(name) decltype(&::name) name = nullptr;
#define RMSJIT_DRIVER_OPTIONAL(name) decltype(&::name) name = nullptr;
#include "runtime/driver_functions.inc"
#undef RMSJIT_DRIVER_REQUIRED
#undef RMSJIT_DRIVER_OPTIONAL
};

struct DeviceFacts {
  int sm = 0;  // 90 for compute capability 9.0
  int multiprocessors = 0;
};

class Driver {
 public:
  // Opens libcuda.so.1 and calls cuInit, once a process; a failure is not remembered.
  // Errors: kDriverUnavailable, naming the library, the missing symbol or the CUresult.
  static Result<const Driver*> get();
  // Null while nothing has opened it.
  static const Driver* opened();

  const DriverFunctions& functions() const { return functions_; }
  int version() const { return version_; }  // 13000: CUDA 13.0
  // CUDA majors whose images this driver loads, highest first.
  std::vector<int> loadable_majors() const;

  // The one place where a CUresult becomes a Status: "cuModuleLoadData: CUDA_ERROR_... (209): ...".
  // The code is kDriver, and kUnsupported where the image does not suit this device or driver.
  Status check(CUresult result, const char* call) const;
  // Errors: kInvalidArgument for an ordinal that is not there.
  Result<DeviceFacts> device_facts(int device) const;

 private:
  friend struct DriverLoader;
  DriverFunctions functions_;
  int version_ = 0;
};

// Image refusals: the driver read the bytes and does not take them on this device.
bool is_image_refusal(CUresult result);

// Makes driver calls legal while another thread captures in global mode; restores the caller's
// mode.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const Driver& driver);
  ~RelaxedCapture();
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const Driver& driver_;
  CUstreamCaptureMode mode_ = CU_STREAM_CAPTURE_MODE_RELAXED;
  bool exchanged_ = false;
};

// Makes a context current, unless it already is, and gives the caller's back.
class CurrentContext {
 public:
  CurrentContext(const Driver& driver, CUcontext context);
  ~CurrentContext();
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;
  const Status& status() const { return status_; }

 private:
  const Driver& driver_;
  bool pushed_ = false;
  Status status_;
};

}  // namespace rmsjit

#endif  // RMSJIT_DRIVER_H_
