// SPDX-License-Identifier: Apache-2.0
// The x86-64 switch saves the six callee-saved registers and the stack pointer; ucontext, which
// makes a system call a switch and is 4 to 12 times slower, serves every other machine.
#include "tests/emulate/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

extern "C" void __asan_unpoison_memory_region(void const volatile* address, size_t bytes)
    __attribute__((weak));

#if defined(__x86_64__)
extern "C" void rmsjit_emulate_switch(void** save, void* load);
asm(R"(
.text
.globl rmsjit_emulate_switch
.type rmsjit_emulate_switch, @function
rmsjit_emulate_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  retq
.size rmsjit_emulate_switch, .-rmsjit_emulate_switch
)");
#endif

namespace rmsjit::emulate {

FiberPool::FiberPool(int count, size_t stack_bytes) : fibers_(static_cast<size_t>(count)) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  stride_ = page + (stack_bytes + page - 1) / page * page;
  bytes_ = stride_ * static_cast<size_t>(count);
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    std::perror("mmap of the emulator's stacks");
    std::abort();
  }
  memory_ = static_cast<std::byte*>(memory);
  for (int i = 0; i < count; ++i) {
    mprotect(memory_ + static_cast<size_t>(i) * stride_, page, PROT_NONE);
  }
}

FiberPool::~FiberPool() { munmap(memory_, bytes_); }

std::byte* FiberPool::stack_top(int i) const {
  return memory_ + static_cast<size_t>(i + 1) * stride_;
}

void FiberPool::drop_frames() {
  if (__asan_unpoison_memory_region != nullptr) __asan_unpoison_memory_region(memory_, bytes_);
}

#if defined(__x86_64__)

void FiberPool::start(int i, void (*entry)()) {
  // The switch pops six registers and returns into entry; the word above entry's address stands
  // for a return address, which leaves the stack aligned as after a call.
  auto* top = reinterpret_cast<uintptr_t*>(stack_top(i)) - 1;
  *top = 0;
  *--top = reinterpret_cast<uintptr_t>(entry);
  for (int saved = 0; saved < 6; ++saved) *--top = 0;
  fibers_[static_cast<size_t>(i)] = top;
}

void FiberPool::resume(int i) {
  running_ = i;
  rmsjit_emulate_switch(&outside_, fibers_[static_cast<size_t>(i)]);
}

void FiberPool::yield() {
  rmsjit_emulate_switch(&fibers_[static_cast<size_t>(running_)], outside_);
}

#else

void FiberPool::start(int i, void (*entry)()) {
  ucontext_t& fiber = fibers_[static_cast<size_t>(i)];
  getcontext(&fiber);
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  fiber.uc_stack.ss_sp = stack_top(i) - (stride_ - page);
  fiber.uc_stack.ss_size = stride_ - page;
  fiber.uc_link = nullptr;
  makecontext(&fiber, entry, 0);
}

void FiberPool::resume(int i) {
  running_ = i;
  swapcontext(&outside_, &fibers_[static_cast<size_t>(i)]);
}

void FiberPool::yield() { swapcontext(&fibers_[static_cast<size_t>(running_)], &outside_); }

#endif

}  // namespace rmsjit::emulate
