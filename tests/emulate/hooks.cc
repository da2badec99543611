// SPDX-License-Identifier: Apache-2.0
// Between the host twin and the machine: every access asks the checkers first.
#include "tests/emulate/hooks.h"

#include "tests/emulate/machine.h"

namespace rmsjit::emulate {
namespace {

MemoryMap::Access access(const void* address, unsigned bytes) {
  Machine& m = machine();
  const bool waited = !m.launch().pdl || m.current().waited;
  return {address, bytes, waited, m.thread_in_grid()};
}

void check(const std::string& fault) {
  if (!fault.empty()) machine().fault(fault);
}

}  // namespace

Position position() { return machine().position(); }

void on_load(void* value, const void* address, unsigned bytes) {
  machine().step();
  check(machine().launch().memory->load(access(address, bytes), value));
}
void on_store(const void* address, unsigned bytes) {
  machine().step();
  check(machine().launch().memory->store(access(address, bytes)));
}
void on_shared_load(const void* cell, unsigned bytes) {
  machine().step();
  Machine& m = machine();
  check(m.shared().load(cell, bytes, m.thread_in_block(), m.current().passed_gate));
}
void on_shared_store(const void* cell, unsigned bytes) {
  machine().step();
  check(machine().shared().store(cell, bytes, machine().thread_in_block()));
}

void on_pdl_wait() {
  if (!machine().launch().pdl) machine().fault("PDL wait in a kernel without PDL");
  machine().current().waited = true;
}
void on_pdl_trigger() {
  if (!machine().launch().pdl) machine().fault("PDL trigger in a kernel without PDL");
  if (!machine().current().waited) machine().fault("PDL trigger before the wait");
}

unsigned on_shuffle_xor(unsigned bits, int lane_mask, const char* file, unsigned line) {
  return machine().shuffle(bits, lane_mask, {file, line});
}
unsigned on_shuffle_up(unsigned bits, const char* file, unsigned line) {
  return machine().shuffle(bits, kUp, {file, line});
}
void on_warp_barrier(const char* file, unsigned line) { machine().warp_barrier({file, line}); }
void on_barrier(const char* file, unsigned line) { machine().barrier({file, line}); }

void on_cluster_arrive(const char* file, unsigned line) { machine().cluster_arrive({file, line}); }
void on_cluster_wait(const char* file, unsigned line) { machine().cluster_wait({file, line}); }
void on_make_gate(const void* gate, unsigned bytes) {
  check(machine().shared().make_gate(gate, bytes));
}
void on_send(unsigned block, const void* cell, const void* gate, unsigned bits) {
  machine().step();
  machine().send(block, cell, gate, bits);
}
void on_wait_at_gate(const void* gate, const char* file, unsigned line) {
  machine().wait_at_gate(gate, {file, line});
}

}  // namespace rmsjit::emulate
