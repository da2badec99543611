// SPDX-License-Identifier: Apache-2.0
// FiberPool: the stacks on which emulated threads run, and the switch between them. A fiber never
// moves, and each stack ends in a guard page, so that an overflow faults where it happens.
// One system thread at a time.
#ifndef RMSJIT_TESTS_EMULATE_FIBER_H_
#define RMSJIT_TESTS_EMULATE_FIBER_H_

#include <cstddef>
#include <vector>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace rmsjit::emulate {

class FiberPool {
 public:
  FiberPool(int count, size_t stack_bytes);
  ~FiberPool();
  FiberPool(const FiberPool&) = delete;
  FiberPool& operator=(const FiberPool&) = delete;

  // Readies fiber i to run entry() from its start; whatever ran there before is dropped. entry
  // never returns: its last act is yield().
  void start(int i, void (*entry)());
  // Runs fiber i until it yields. Only from outside a fiber.
  void resume(int i);
  // Back to the caller of resume(). Only from inside a fiber.
  void yield();
  // Forgets what AddressSanitizer knows of frames that will never return.
  void drop_frames();

 private:
#if defined(__x86_64__)
  using Context = void*;  // the stack pointer, registers pushed
#else
  using Context = ucontext_t;
#endif
  std::byte* stack_top(int i) const;

  size_t stride_ = 0;  // guard page and stack
  size_t bytes_ = 0;
  std::byte* memory_ = nullptr;
  std::vector<Context> fibers_;
  Context outside_{};
  int running_ = -1;
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_FIBER_H_
