// SPDX-License-Identifier: Apache-2.0
// What the benchmark's programs ask of a driver beside the library: memory that is only addresses,
// streams, graphs, and events on a clock of its own. On it a memset takes a hundred microseconds
// and empties the L2, and a replayed launch one, or three where its x (the first argument) is not
// in the L2. Linked with stub_driver.cc into one libcuda.so.1.
#include <cstring>
#include <set>
#include <vector>

#include "tests/runtime/stub_driver/stub_driver.h"
#include "tests/runtime/stub_driver/stub_objects.h"

using Inputs = std::vector<const void*>;  // the x of each launch

struct CUgraph_st {
  Inputs inputs;
};
struct CUgraphExec_st {
  Inputs inputs;
};
struct CUevent_st {
  double at_us;
};

namespace {

using namespace rmsjit::stub;

double clock_us = 0;
std::set<const void*> in_l2;
Inputs captured;
CUdeviceptr next_address = CUdeviceptr{1} << 40;

void capture(const void* params) {
  const void* x = nullptr;
  std::memcpy(&x, params, sizeof x);
  captured.push_back(x);
}

}  // namespace

extern "C" {

CUresult cuDeviceGetName(char* name, int size, CUdevice) {
  std::strncpy(name, "stub", static_cast<size_t>(size));
  return CUDA_SUCCESS;
}
CUresult cuCtxSetCurrent(CUcontext context) {
  CUcontext popped = nullptr;
  cuCtxPopCurrent(&popped);
  return context == nullptr ? CUDA_SUCCESS : cuCtxPushCurrent(context);
}
CUresult cuCtxSynchronize() { return CUDA_SUCCESS; }
CUresult cuCtxDestroy(CUcontext) { return CUDA_SUCCESS; }

CUresult cuMemAlloc(CUdeviceptr* address, size_t bytes) {
  *address = next_address;
  next_address += (bytes + 511) / 512 * 512;
  return CUDA_SUCCESS;
}
CUresult cuMemFree(CUdeviceptr) { return CUDA_SUCCESS; }
CUresult cuMemGetInfo(size_t* free, size_t* total) {
  *free = *total = size_t{80} << 30;
  return CUDA_SUCCESS;
}
CUresult cuMemcpyHtoDAsync(CUdeviceptr, const void*, size_t, CUstream) { return CUDA_SUCCESS; }
CUresult cuMemcpyDtoH(void*, CUdeviceptr, size_t) { return CUDA_SUCCESS; }
CUresult cuMemcpyDtoDAsync(CUdeviceptr, CUdeviceptr, size_t, CUstream) { return CUDA_SUCCESS; }
CUresult cuMemsetD8(CUdeviceptr, unsigned char, size_t) { return CUDA_SUCCESS; }
CUresult cuMemsetD8Async(CUdeviceptr, unsigned char, size_t, CUstream) {
  clock_us += 100;
  in_l2.clear();
  return CUDA_SUCCESS;
}

CUresult cuStreamCreate(CUstream* stream, unsigned) {
  CUcontext context = nullptr;
  cuCtxGetCurrent(&context);
  *stream = rmsjit_stub_control()->make_stream(context);
  return CUDA_SUCCESS;
}
CUresult cuStreamDestroy(CUstream stream) {
  delete stream;
  return CUDA_SUCCESS;
}
CUresult cuStreamSynchronize(CUstream) { return CUDA_SUCCESS; }
CUresult cuStreamBeginCapture(CUstream, CUstreamCaptureMode) {
  captured.clear();
  rmsjit_stub_control()->driver->on_launch = capture;
  return CUDA_SUCCESS;
}
CUresult cuStreamEndCapture(CUstream, CUgraph* graph) {
  rmsjit_stub_control()->driver->on_launch = nullptr;
  *graph = new CUgraph_st{captured};
  return CUDA_SUCCESS;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->inputs};
  return CUDA_SUCCESS;
}
CUresult cuGraphLaunch(CUgraphExec exec, CUstream) {
  for (const void* x : exec->inputs) clock_us += in_l2.insert(x).second ? 3 : 1;
  return CUDA_SUCCESS;
}
CUresult cuGraphDestroy(CUgraph graph) {
  delete graph;
  return CUDA_SUCCESS;
}
CUresult cuGraphExecDestroy(CUgraphExec exec) {
  delete exec;
  return CUDA_SUCCESS;
}

CUresult cuEventCreate(CUevent* event, unsigned) {
  *event = new CUevent_st{0};
  return CUDA_SUCCESS;
}
CUresult cuEventRecord(CUevent event, CUstream) {
  event->at_us = clock_us;
  return CUDA_SUCCESS;
}
CUresult cuEventSynchronize(CUevent) { return CUDA_SUCCESS; }
CUresult cuEventElapsedTime(float* ms, CUevent begin, CUevent end) {
  *ms = static_cast<float>((end->at_us - begin->at_us) / 1000);
  return CUDA_SUCCESS;
}
CUresult cuEventDestroy(CUevent event) {
  delete event;
  return CUDA_SUCCESS;
}

}  // extern "C"
