// SPDX-License-Identifier: Apache-2.0
// What stands behind the stub's opaque handles, and which images its devices take.
#ifndef RMSJIT_TESTS_STUB_OBJECTS_H_
#define RMSJIT_TESTS_STUB_OBJECTS_H_

#include <cuda.h>
#include <elf.h>

#include <cstdint>
#include <cstring>

extern "C" __attribute__((weak)) void __lsan_ignore_object(const void*);

struct CUctx_st {
  int device;
  unsigned long long id;
};
struct CUstream_st {
  CUcontext context;
  CUstreamCaptureStatus status;
  CUresult answer;
};
struct CUfunc_st {
  CUmodule module;
  const char* name;
  bool resident;
  bool large_clusters;            // of more than eight blocks are allowed
  unsigned dynamic_shared_bytes;  // that are allowed, but for those that always are
  bool may_have(unsigned dynamic) const {
    return dynamic <= 48 * 1024 || dynamic <= dynamic_shared_bytes;
  }
};
struct CUmod_st {
  CUcontext context;
  CUfunc_st functions[4];
  uint64_t hash;
};

namespace rmsjit::stub {

// What lives in a driver is the driver's: tests count modules and contexts, a leak checker need
// not.
template <class T>
T* of_the_driver(T* object) {
  if (__lsan_ignore_object != nullptr) __lsan_ignore_object(object);
  return object;
}

// PTX, and a cubin of the device's generation that is not newer.
inline CUresult answer_to(const char* image, int sm) {
  if (std::strncmp(image, ".version", 8) == 0) return CUDA_SUCCESS;
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return CUDA_ERROR_INVALID_IMAGE;
  const int image_sm = static_cast<int>(header.e_flags >> 8 & 0xff);
  const bool serves = image_sm / 10 == sm / 10 && image_sm <= sm;
  return serves ? CUDA_SUCCESS : CUDA_ERROR_NO_BINARY_FOR_GPU;
}

}  // namespace rmsjit::stub

#endif  // RMSJIT_TESTS_STUB_OBJECTS_H_
