// SPDX-License-Identifier: Apache-2.0
// What the host twin of device.cuh calls in the emulator. Included by every generated unit, so it
// includes nothing. A hook that finds a fault stops the block and does not return.
#ifndef RMSJIT_TESTS_EMULATE_HOOKS_H_
#define RMSJIT_TESTS_EMULATE_HOOKS_H_

namespace rmsjit::emulate {

struct Position {
  unsigned thread_x;
  unsigned thread_y;
  unsigned block_x;
  unsigned block_y;
};
Position position();

// Copies the bytes to value, poison in place of elements that another thread has overwritten.
void on_load(void* value, const void* address, unsigned bytes);
void on_store(const void* address, unsigned bytes);
void on_shared_load(const void* cell, unsigned bytes);
void on_shared_store(const void* cell, unsigned bytes);
void on_pdl_wait();
void on_pdl_trigger();

// file and line: the call in the template.
unsigned on_shuffle_xor(unsigned bits, int lane_mask, const char* file, unsigned line);
unsigned on_shuffle_up(unsigned bits, const char* file, unsigned line);
void on_warp_barrier(const char* file, unsigned line);
void on_barrier(const char* file, unsigned line);

// block: its rank in the cluster; cell and gate are this block's.
void on_cluster_arrive(const char* file, unsigned line);
void on_cluster_wait(const char* file, unsigned line);
void on_make_gate(const void* gate, unsigned bytes);
void on_send(unsigned block, const void* cell, const void* gate, unsigned bits);
void on_wait_at_gate(const void* gate, const char* file, unsigned line);

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_HOOKS_H_
