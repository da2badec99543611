// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/neighbours.h"

#include <chrono>
#include <string>
#include <thread>

#include "runtime/nvrtc_library.h"
#include "tests/gpu/gpu_fixture.h"

namespace rmsjit::gpu {
namespace {

constexpr char kSource[] = R"(
struct Piece {
  unsigned compare, packs;
  uint4* at;
  const uint4* other;
};
struct Work {
  Piece pieces[4];
  unsigned count;
  unsigned* wrong;
};
extern "C" __global__ void late(Work work) {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
  for (int i = 0; i < 4; ++i) __nanosleep(1000);
  unsigned different = 0;
  for (unsigned p = 0; p < work.count; ++p) {
    const Piece piece = work.pieces[p];
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < piece.packs;
         i += gridDim.x * blockDim.x) {
      const uint4 a = piece.at[i], b = piece.other[i];
      if (!piece.compare) piece.at[i] = b;
      else different |= (a.x ^ b.x) | (a.y ^ b.y) | (a.z ^ b.z) | (a.w ^ b.w);
    }
  }
  if (different) atomicAdd(work.wrong, 1);
}
__device__ unsigned long long now() {
  unsigned long long ns;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
  return ns;
}
extern "C" __global__ void persist(volatile unsigned* flags, unsigned long long limit_ns) {
  const unsigned long long begin = now();
  flags[0] = 1;
  while (flags[1] == 0) {
    if (now() - begin > limit_ns) {
      flags[2] = 1;
      break;
    }
    __nanosleep(1000);
  }
}
)";

constexpr unsigned long long kLimitNs = 4'000'000'000;

struct DevicePiece {
  unsigned compare, packs;
  char* at;
  const char* other;
};
struct Work {
  DevicePiece pieces[4];
  unsigned count;
  char* wrong;
};

std::string compiled(int sm) {
  const auto nvrtc = NvrtcLibrary::open({.object_folder = own_object_folder()});
  if (!nvrtc.ok()) throw bench::CudaError(nvrtc.message());
  const std::string target = "sm_" + std::to_string(sm);
  const CompileJob job{
      "neighbours", target, {"-arch=" + target, "--no-cache"}, {{"neighbours.cu", kSource}}};
  const Result<CompiledImage> image = (*nvrtc)->compile(job);
  if (!image.ok()) throw bench::CudaError(image.message());
  return image->image;
}

CUlaunchConfig config_of(CUstream stream, unsigned blocks, unsigned threads) {
  CUlaunchConfig config{};
  config.gridDimX = blocks;
  config.blockDimX = threads;
  config.gridDimY = config.gridDimZ = config.blockDimY = config.blockDimZ = 1;
  config.hStream = stream;
  return config;
}

}  // namespace

Neighbours::Neighbours(const bench::Cuda& cuda) : cuda_(cuda) {
  const bench::DriverApi& api = cuda.api();
  const std::string image = compiled(cuda.sm());
  cuda.check(api.cuModuleLoadData(&module_, image.data()), "cuModuleLoadData");
  cuda.check(api.cuModuleGetFunction(&late_, module_, "late"), "cuModuleGetFunction");
  cuda.check(api.cuModuleGetFunction(&persist_, module_, "persist"), "cuModuleGetFunction");
}

Neighbours::~Neighbours() { cuda_.api().cuModuleUnload(module_); }

void Neighbours::late(CUstream stream, const std::vector<Piece>& pieces,
                      const bench::Buffer& wrong) const {
  Work work{};
  work.wrong = wrong.data();
  for (const Piece& piece : pieces) {
    work.pieces[work.count++] = {piece.does == Does::kCompares ? 1u : 0u,
                                 static_cast<unsigned>(piece.bytes / 16), piece.at, piece.other};
  }
  CUlaunchAttribute pdl{};
  pdl.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  pdl.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config = config_of(stream, 8, 256);
  config.attrs = &pdl;
  config.numAttrs = 1;
  void* arguments[] = {&work};
  cuda_.check(cuda_.api().cuLaunchKernelEx(&config, late_, arguments, nullptr), "late");
}

Neighbours::Persistent::Persistent(const Neighbours& neighbours)
    : cuda_(neighbours.cuda_), stream_(cuda_) {
  const auto allocate =
      reinterpret_cast<decltype(&::cuMemHostAlloc)>(driver_symbol("cuMemHostAlloc"));
  void* memory = nullptr;  // at the same address on the device
  cuda_.check(allocate(&memory, 64, CU_MEMHOSTALLOC_PORTABLE | CU_MEMHOSTALLOC_DEVICEMAP),
              "cuMemHostAlloc");
  flags_ = static_cast<unsigned*>(memory);
  for (int i = 0; i < 3; ++i) flags_[i] = 0;
  unsigned long long limit = kLimitNs;
  void* arguments[] = {&memory, &limit};
  const CUlaunchConfig config = config_of(stream_.get(), 1, 1);
  cuda_.check(cuda_.api().cuLaunchKernelEx(&config, neighbours.persist_, arguments, nullptr),
              "persist");
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(3);
  while (flags_[0] == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  if (flags_[0] == 0) throw bench::CudaError("the persistent kernel did not begin");
}

Neighbours::Persistent::~Persistent() {
  if (flags_[1] == 0) release();
  const auto free = reinterpret_cast<decltype(&::cuMemFreeHost)>(driver_symbol("cuMemFreeHost"));
  free(const_cast<unsigned*>(flags_));
}

bool Neighbours::Persistent::release() {
  flags_[1] = 1;
  stream_.synchronize();
  return flags_[2] == 0;
}

}  // namespace rmsjit::gpu
