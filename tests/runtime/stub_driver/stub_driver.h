// SPDX-License-Identifier: Apache-2.0
// A libcuda.so.1 for tests: devices, contexts, streams, captures and modules as the real driver has
// them, every call counted, any call made to fail on demand. Recording allocates nothing, so that a
// test can count the allocations of a launch.
#ifndef RMSJIT_TESTS_STUB_DRIVER_H_
#define RMSJIT_TESTS_STUB_DRIVER_H_

#include <cuda.h>
#include <elf.h>

#include <atomic>
#include <cstdint>
#include <cstring>
#include <string>

namespace rmsjit::stub {

// One number for each function of driver_functions.inc: kcuInit, ...
enum Call : int {
#define RMSJIT_STUB_CALL_INNER(name) k##name
#define RMSJIT_STUB_CALL(name) RMSJIT_STUB_CALL_INNER(name),
#define RMSJIT_DRIVER_REQUIRED(name) RMSJIT_STUB_CALL(name)
#define RMSJIT_DRIVER_OPTIONAL(name) RMSJIT_STUB_CALL(name)
#include "runtime/driver_functions.inc"
#undef RMSJIT_DRIVER_REQUIRED
#undef RMSJIT_DRIVER_OPTIONAL
  kCallCount
};

inline constexpr int kMostDevices = 4;

// Tells images apart: a hash of the bytes up to the end of an ELF file's section headers, or, for
// the short images of tests, of the header and the text behind it.
inline uint64_t image_hash(const void* image) {
  const char* bytes = static_cast<const char*>(image);
  size_t size = std::strlen(bytes);
  if (std::memcmp(bytes, ELFMAG, SELFMAG) == 0) {
    Elf64_Ehdr header;
    std::memcpy(&header, bytes, sizeof header);
    size = header.e_shoff != 0 ? header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr)
                               : sizeof header + std::strlen(bytes + sizeof header);
  }
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<uint8_t>(bytes[i])) * 0x100000001b3;
  return hash;
}

struct Launch {
  char function[32];
  CUlaunchConfig config;
  CUlaunchAttribute attributes[4];
  unsigned char params[512];

  void keep(const char* name, const CUlaunchConfig& given, const void* block, size_t bytes) {
    std::strncpy(function, name, sizeof function - 1);
    config = given;
    for (unsigned i = 0; i < config.numAttrs && i < 4; ++i) attributes[i] = config.attrs[i];
    if (bytes > 0) std::memcpy(params, block, bytes);
  }
};

struct Driver {
  // Set by the test before the call.
#ifdef RMSJIT_STUB_OLD
  int version = 12030;
#else
  int version = 13000;
#endif
  int device_count = 2;
  int sm[kMostDevices] = {90, 90, 86, 80};
  int multiprocessors[kMostDevices] = {132, 132, 84, 108};
  CUresult fail[kCallCount] = {};     // what each call answers, if not CUDA_SUCCESS
  std::atomic<int> refuse_images{0};  // how many of the next cuModuleLoadData refuse
  CUresult refusal = CUDA_ERROR_INVALID_IMAGE;
  std::atomic<bool> memory_full{false};  // of every device: no function can be loaded any more
  // A capture in global mode, which calls of other threads invalidate unless their mode is relaxed.
  std::atomic<CUstream> captured{nullptr};
  bool room_for_large_clusters = true;  // of more than eight blocks
  size_t params_bytes = 0;              // how much of the parameter block a launch keeps
  // Told of each launch's parameter block.
  void (*on_launch)(const void* params) = nullptr;

  // What happened.
  std::atomic<int> calls[kCallCount] = {};
  std::atomic<int> total{0};
  // Calls that are illegal while another thread captures in global mode, made in another mode.
  std::atomic<int> disturbing{0};
  std::atomic<int> modules{0};  // loaded now
  std::atomic<int> retained[kMostDevices] = {};
  Launch last{};

  void clear_counts() {
    for (std::atomic<int>& count : calls) count = 0;
    total = 0;
    disturbing = 0;
  }
};

// The functions that the stub exports beside those of the driver, found by dlsym.
struct Control {
  Driver* driver = nullptr;
  CUcontext (*make_context)(int device) = nullptr;
  // As if it were destroyed and another one made that has its address.
  void (*renew_context)(CUcontext context) = nullptr;
  CUstream (*make_stream)(CUcontext context) = nullptr;
  void (*set_capture)(CUstream stream, CUstreamCaptureStatus status, CUresult answer) = nullptr;
  CUstreamCaptureMode (*thread_mode)() = nullptr;
  uint64_t (*launched_image)() = nullptr;  // image_hash of this thread's last launch
  void (*reset)() = nullptr;  // as after the start of the process, except for what leaked
};

// In tests: opens the stub. Null members if libcuda.so.1 is another one.
const Control& control();

}  // namespace rmsjit::stub

extern "C" const rmsjit::stub::Control* rmsjit_stub_control();

#endif  // RMSJIT_TESTS_STUB_DRIVER_H_
