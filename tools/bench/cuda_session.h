// SPDX-License-Identifier: Apache-2.0
// What the benchmark, the demo and the GPU tests need of a device beside the library under test:
// memory, streams, graphs and timing, over libcuda opened at run time. The library itself never
// uses this. Failures throw CudaError; one Cuda is used from one thread.
#ifndef RMSJIT_BENCH_CUDA_SESSION_H_
#define RMSJIT_BENCH_CUDA_SESSION_H_

#include <cuda.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace rmsjit::bench {

struct CudaError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// clang-format off
#define RMSJIT_BENCH_DRIVER_FUNCTIONS(X)                                                          \
  X(cuInit) X(cuGetErrorName) X(cuDriverGetVersion) X(cuDeviceGet) X(cuDeviceGetCount)            \
  X(cuDeviceGetName) X(cuDeviceGetAttribute) X(cuDevicePrimaryCtxRetain)                          \
  X(cuDevicePrimaryCtxRelease) X(cuCtxSetCurrent) X(cuCtxGetCurrent) X(cuCtxSynchronize)          \
  X(cuCtxPushCurrent) X(cuCtxPopCurrent) X(cuCtxDestroy) X(cuMemAlloc) X(cuMemFree)               \
  X(cuMemGetInfo) X(cuMemcpyHtoDAsync) X(cuMemcpyDtoH) X(cuMemcpyDtoDAsync) X(cuMemsetD8)         \
  X(cuMemsetD8Async) X(cuStreamCreate) X(cuStreamDestroy) X(cuStreamSynchronize)                  \
  X(cuStreamBeginCapture) X(cuStreamEndCapture) X(cuStreamIsCapturing)                            \
  X(cuGraphInstantiateWithFlags) X(cuGraphLaunch) X(cuGraphExecDestroy) X(cuGraphDestroy)         \
  X(cuEventCreate) X(cuEventRecord) X(cuEventDestroy) X(cuEventSynchronize)                       \
  X(cuEventElapsedTime) X(cuModuleLoadData) X(cuModuleGetFunction) X(cuModuleUnload)              \
  X(cuFuncSetAttribute) X(cuLaunchKernelEx)
// clang-format on

struct DriverApi {
#define RMSJIT_BENCH_DECLARE(name) decltype(&::name) name = nullptr;
  RMSJIT_BENCH_DRIVER_FUNCTIONS(RMSJIT_BENCH_DECLARE)
#undef RMSJIT_BENCH_DECLARE
};

// A device with its primary context current on the constructing thread.
class Cuda {
 public:
  // Why there is no device to use ("libcuda.so.1: ..."), or empty.
  static std::string why_unavailable();
  explicit Cuda(int device = 0);
  ~Cuda();
  Cuda(const Cuda&) = delete;
  Cuda& operator=(const Cuda&) = delete;

  const DriverApi& api() const;
  int device() const { return ordinal_; }
  std::string name() const;
  int attribute(CUdevice_attribute which) const;
  int sm() const;  // 90 for compute capability 9.0
  CUcontext context() const { return context_; }
  // Throws unless result is success; `what` is the call.
  void check(CUresult result, const char* what) const;
  void synchronize() const { check(api().cuCtxSynchronize(), "cuCtxSynchronize"); }

 private:
  int ordinal_ = 0;
  CUdevice device_ = 0;
  CUcontext context_ = nullptr;
};

// Device memory that belongs to a Cuda.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Cuda& cuda, size_t bytes);
  Buffer(Buffer&& other) noexcept { *this = std::move(other); }
  Buffer& operator=(Buffer&& other) noexcept;
  ~Buffer();
  char* data() const { return reinterpret_cast<char*>(address_); }
  size_t bytes() const { return bytes_; }
  // Through the stream, and done on return.
  void upload(const void* from, size_t bytes, size_t at = 0, CUstream stream = nullptr);
  void download(void* to, size_t bytes, size_t at = 0) const;
  void fill(unsigned char byte);

 private:
  const Cuda* cuda_ = nullptr;
  CUdeviceptr address_ = 0;
  size_t bytes_ = 0;
};

class Stream {
 public:
  explicit Stream(const Cuda& cuda);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  CUstream get() const { return stream_; }
  void synchronize() const;
  void overwrite(const Buffer& buffer, unsigned char byte) const;

 private:
  const Cuda& cuda_;
  CUstream stream_ = nullptr;
};

// What `work` puts on a stream, captured; replayed and timed with events.
class Graph {
 public:
  Graph(const Cuda& cuda, const Stream& stream, const std::function<void(CUstream)>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  void launch() const;
  // Microseconds of one replay, between events around it. `first` puts work on the stream before
  // it, outside the interval, that keeps the device busy until the host has queued the replay;
  // without one that is another replay.
  double time_us(const std::function<void()>& first) const;
  double time_us() const {
    return time_us([this] { launch(); });
  }

 private:
  const Cuda& cuda_;
  const Stream& stream_;
  CUgraphExec exec_ = nullptr;
  CUevent begin_ = nullptr, end_ = nullptr;
};

double median(std::vector<double> values);

}  // namespace rmsjit::bench

#endif  // RMSJIT_BENCH_CUDA_SESSION_H_
