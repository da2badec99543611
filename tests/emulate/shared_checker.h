// SPDX-License-Identifier: Apache-2.0
// SharedChecker: a race detector for a block's shared cells of 32 bits. Between two block barriers
// (one epoch) a cell that one thread writes may be touched by no other, but read by one of its warp
// behind a barrier of the warp; a shuffle orders nothing. It also finds cells that are read before
// they are written. Cells that another block sends to have rules of their own: sent once, to a gate
// that has been made and is not yet open, and read only by threads that passed the gate.
#ifndef RMSJIT_TESTS_EMULATE_SHARED_CHECKER_H_
#define RMSJIT_TESTS_EMULATE_SHARED_CHECKER_H_

#include <array>
#include <cstddef>
#include <string>
#include <vector>

namespace rmsjit::emulate {

class SharedChecker {
 public:
  // Starts a block whose shared array is the bytes at base.
  void begin_block(const void* base, size_t bytes);
  void next_epoch() { ++epoch_; }
  void next_epoch_of_warp(int warp) { ++warp_epochs_[static_cast<size_t>(warp)]; }

  // An empty string, or what is wrong.
  std::string load(const void* cell, unsigned bytes, int thread, bool passed_gate = false);
  std::string store(const void* cell, unsigned bytes, int thread);

  std::string make_gate(const void* gate, unsigned bytes);
  // A cell of this block, from any block of the cluster.
  std::string receive(const void* cell, const void* gate);
  bool is_open(const void* gate) const { return gate == gate_ && gate_bytes_ == 0; }

 private:
  struct Cell {
    unsigned write_epoch = 0;  // 0: never
    unsigned write_epoch_of_warp = 0;
    unsigned read_epoch = 0;
    int writer = -1;
    int reader = -1;  // kSeveral: more than one thread in read_epoch
    bool sent = false;
  };
  static constexpr int kSeveral = -2;
  static constexpr int kWarpThreads = 32, kWarpsOfABlock = 32;

  // nullptr: not cells of the array, or not aligned to their size.
  Cell* find(const void* cell, unsigned bytes);
  bool is_behind_a_barrier_of_the_warp(const Cell& cell, int thread) const;
  std::string conflict(const Cell& cell, int thread, const char* what) const;

  const char* base_ = nullptr;
  std::vector<Cell> cells_;
  unsigned epoch_ = 1;
  std::array<unsigned, kWarpsOfABlock> warp_epochs_{};
  const void* gate_ = nullptr;
  unsigned gate_bytes_ = 0;  // still to come
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_SHARED_CHECKER_H_
