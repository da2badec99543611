// SPDX-License-Identifier: Apache-2.0
// SharedChecker: a race detector for a block's shared cells of 32 bits. Between two block barriers
// (one epoch) a cell that one thread writes may be touched by no other; a shuffle orders nothing.
// It also finds cells that are read before they are written.
#ifndef RMSJIT_TESTS_EMULATE_SHARED_CHECKER_H_
#define RMSJIT_TESTS_EMULATE_SHARED_CHECKER_H_

#include <cstddef>
#include <string>
#include <vector>

namespace rmsjit::emulate {

class SharedChecker {
 public:
  // Starts a block whose shared array is the bytes at base.
  void begin_block(const void* base, size_t bytes);
  void next_epoch() { ++epoch_; }

  // An empty string, or what is wrong.
  std::string load(const void* cell, unsigned bytes, int thread);
  std::string store(const void* cell, unsigned bytes, int thread);

 private:
  struct Cell {
    unsigned write_epoch = 0;  // 0: never
    unsigned read_epoch = 0;
    int writer = -1;
    int reader = -1;  // kSeveral: more than one thread in read_epoch
  };
  static constexpr int kSeveral = -2;

  // nullptr: not cells of the array, or not aligned to their size.
  Cell* find(const void* cell, unsigned bytes);
  std::string conflict(const Cell& cell, int thread, const char* what) const;

  const char* base_ = nullptr;
  std::vector<Cell> cells_;
  unsigned epoch_ = 1;
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_SHARED_CHECKER_H_
