// SPDX-License-Identifier: Apache-2.0
// Other people's kernels around ours: one that triggers its dependents at once and copies or
// compares late, and one that does not end before it is told to.
#ifndef RMSJIT_TESTS_GPU_NEIGHBOURS_H_
#define RMSJIT_TESTS_GPU_NEIGHBOURS_H_

#include <vector>

#include "tools/bench/cuda_session.h"

namespace rmsjit::gpu {

class Neighbours {
 public:
  explicit Neighbours(const bench::Cuda& cuda);
  ~Neighbours();
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

  enum class Does { kCopies, kCompares };
  // `bytes` are a multiple of 16.
  struct Piece {
    Does does;
    char* at;           // written, or read
    const char* other;  // what is copied, or expected
    size_t bytes;
  };
  // Launched with the PDL attribute; triggers, sleeps a few microseconds and only then touches the
  // pieces (four at most). Each thread that meets something unexpected adds one to `wrong`.
  void late(CUstream stream, const std::vector<Piece>& pieces, const bench::Buffer& wrong) const;

  // Runs from the constructor, which returns when the device executes it, to release(); ends by
  // itself after a few seconds, so that whoever waits for it waits no longer.
  class Persistent {
   public:
    explicit Persistent(const Neighbours& neighbours);
    ~Persistent();
    Persistent(const Persistent&) = delete;
    Persistent& operator=(const Persistent&) = delete;
    // Whether it was still running until now.
    bool release();

   private:
    const bench::Cuda& cuda_;
    bench::Stream stream_;
    volatile unsigned* flags_ = nullptr;  // started, stop, gave up
  };

 private:
  const bench::Cuda& cuda_;
  CUmodule module_ = nullptr;
  CUfunction late_ = nullptr, persist_ = nullptr;
};

}  // namespace rmsjit::gpu

#endif  // RMSJIT_TESTS_GPU_NEIGHBOURS_H_
