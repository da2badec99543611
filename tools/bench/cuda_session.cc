// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/cuda_session.h"

#include <dlfcn.h>

#include <algorithm>

namespace rmsjit::bench {
namespace {

#define RMSJIT_BENCH_TEXT_INNER(x) #x
#define RMSJIT_BENCH_TEXT(x) RMSJIT_BENCH_TEXT_INNER(x)

struct Loaded {
  DriverApi api;
  std::string problem;
};

Loaded load() {
  Loaded out;
  void* library = dlopen("libcuda.so.1", RTLD_NOW);
  if (library == nullptr) {
    out.problem = dlerror();
    return out;
  }
#define RMSJIT_BENCH_RESOLVE(name)                                                       \
  out.api.name =                                                                         \
      reinterpret_cast<decltype(out.api.name)>(dlsym(library, RMSJIT_BENCH_TEXT(name))); \
  if (out.api.name == nullptr) out.problem = "libcuda.so.1 has no " RMSJIT_BENCH_TEXT(name);
  RMSJIT_BENCH_DRIVER_FUNCTIONS(RMSJIT_BENCH_RESOLVE)
#undef RMSJIT_BENCH_RESOLVE
  if (!out.problem.empty()) return out;
  int count = 0;
  const CUresult result = out.api.cuInit(0);
  if (result != CUDA_SUCCESS) {
    out.problem = "cuInit: " + std::to_string(result);
  } else if (out.api.cuDeviceGetCount(&count) != CUDA_SUCCESS || count == 0) {
    out.problem = "no CUDA device";
  }
  return out;
}

const Loaded& loaded() {
  static const Loaded instance = load();
  return instance;
}

}  // namespace

std::string Cuda::why_unavailable() { return loaded().problem; }

const DriverApi& Cuda::api() const { return loaded().api; }

Cuda::Cuda(int device) : ordinal_(device) {
  if (!why_unavailable().empty()) throw CudaError(why_unavailable());
  check(api().cuDeviceGet(&device_, device), "cuDeviceGet");
  check(api().cuDevicePrimaryCtxRetain(&context_, device_), "cuDevicePrimaryCtxRetain");
  check(api().cuCtxSetCurrent(context_), "cuCtxSetCurrent");
}

Cuda::~Cuda() {
  api().cuCtxSetCurrent(nullptr);
  api().cuDevicePrimaryCtxRelease(device_);
}

std::string Cuda::name() const {
  char text[128] = {};
  check(api().cuDeviceGetName(text, sizeof text, device_), "cuDeviceGetName");
  return text;
}

int Cuda::attribute(CUdevice_attribute which) const {
  int value = 0;
  check(api().cuDeviceGetAttribute(&value, which, device_), "cuDeviceGetAttribute");
  return value;
}

int Cuda::sm() const {
  return 10 * attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
         attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
}

void Cuda::check(CUresult result, const char* what) const {
  if (result == CUDA_SUCCESS) return;
  const char* name = "unknown";
  api().cuGetErrorName(result, &name);
  throw CudaError(std::string(what) + ": " + name + " (" + std::to_string(result) + ")");
}

Buffer::Buffer(const Cuda& cuda, size_t bytes) : cuda_(&cuda), bytes_(bytes) {
  cuda.check(cuda.api().cuMemAlloc(&address_, std::max<size_t>(bytes, 1)), "cuMemAlloc");
}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  std::swap(cuda_, other.cuda_);
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

Buffer::~Buffer() {
  if (address_ != 0) cuda_->api().cuMemFree(address_);
}

void Buffer::upload(const void* from, size_t bytes, size_t at, CUstream stream) {
  cuda_->check(cuda_->api().cuMemcpyHtoDAsync(address_ + at, from, bytes, stream),
               "cuMemcpyHtoDAsync");
  cuda_->check(cuda_->api().cuStreamSynchronize(stream), "cuStreamSynchronize");
}

void Buffer::download(void* to, size_t bytes, size_t at) const {
  cuda_->check(cuda_->api().cuMemcpyDtoH(to, address_ + at, bytes), "cuMemcpyDtoH");
}

void Buffer::fill(unsigned char byte) {
  cuda_->check(cuda_->api().cuMemsetD8(address_, byte, bytes_), "cuMemsetD8");
  cuda_->synchronize();  // asynchronous, too
}

Stream::Stream(const Cuda& cuda) : cuda_(cuda) {
  cuda.check(cuda.api().cuStreamCreate(&stream_, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
}

Stream::~Stream() { cuda_.api().cuStreamDestroy(stream_); }

void Stream::synchronize() const {
  cuda_.check(cuda_.api().cuStreamSynchronize(stream_), "cuStreamSynchronize");
}

void Stream::overwrite(const Buffer& buffer, unsigned char byte) const {
  cuda_.check(cuda_.api().cuMemsetD8Async(reinterpret_cast<CUdeviceptr>(buffer.data()), byte,
                                          buffer.bytes(), stream_),
              "cuMemsetD8Async");
}

Graph::Graph(const Cuda& cuda, const Stream& stream, const std::function<void(CUstream)>& work)
    : cuda_(cuda), stream_(stream) {
  const DriverApi& api = cuda.api();
  CUgraph graph = nullptr;
  cuda.check(api.cuStreamBeginCapture(stream.get(), CU_STREAM_CAPTURE_MODE_GLOBAL),
             "cuStreamBeginCapture");
  work(stream.get());
  cuda.check(api.cuStreamEndCapture(stream.get(), &graph), "cuStreamEndCapture");
  cuda.check(api.cuGraphInstantiateWithFlags(&exec_, graph, 0), "cuGraphInstantiate");
  cuda.check(api.cuGraphDestroy(graph), "cuGraphDestroy");
  cuda.check(api.cuEventCreate(&begin_, CU_EVENT_DEFAULT), "cuEventCreate");
  cuda.check(api.cuEventCreate(&end_, CU_EVENT_DEFAULT), "cuEventCreate");
}

Graph::~Graph() {
  if (exec_ != nullptr) cuda_.api().cuGraphExecDestroy(exec_);
  if (begin_ != nullptr) cuda_.api().cuEventDestroy(begin_);
  if (end_ != nullptr) cuda_.api().cuEventDestroy(end_);
}

void Graph::launch() const {
  cuda_.check(cuda_.api().cuGraphLaunch(exec_, stream_.get()), "cuGraphLaunch");
}

double Graph::time_us(const std::function<void()>& first) const {
  const DriverApi& api = cuda_.api();
  first();
  cuda_.check(api.cuEventRecord(begin_, stream_.get()), "cuEventRecord");
  launch();
  cuda_.check(api.cuEventRecord(end_, stream_.get()), "cuEventRecord");
  cuda_.check(api.cuEventSynchronize(end_), "cuEventSynchronize");
  float ms = 0;
  cuda_.check(api.cuEventElapsedTime(&ms, begin_, end_), "cuEventElapsedTime");
  return 1e3 * ms;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
}

}  // namespace rmsjit::bench
