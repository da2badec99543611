// SPDX-License-Identifier: Apache-2.0
// MemoryMap: which bytes of global memory a launch may touch, and how. Every load and store has to
// lie in a logical row of a registered buffer, aligned to its size, and no element may be written
// twice. What one thread writes is poison to every other: a thread may load such an element, as a
// neighbour in an aligned access, but a result that uses it becomes NaN.
#ifndef RMSJIT_TESTS_EMULATE_MEMORY_MAP_H_
#define RMSJIT_TESTS_EMULATE_MEMORY_MAP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace rmsjit::emulate {

// One buffer with everything that its owner allocated, guard bands included. A tensor that is
// updated in place is one buffer with both rights.
struct Buffer {
  std::string name;
  const std::byte* begin = nullptr;
  int64_t bytes = 0;
  std::vector<int64_t> row_starts;  // byte offsets from begin, ascending
  int64_t row_bytes = 0;
  int element_bytes = 1;
  bool readable = true;
  bool writable = false;
  bool before_wait = false;  // may be loaded before the PDL wait
};

class MemoryMap {
 public:
  void add(Buffer buffer);
  // Forgets who read and wrote, not the buffers.
  void begin_launch();

  struct Access {
    const void* address;
    unsigned bytes;
    bool waited;      // the PDL wait is behind this thread, or there is none
    uint32_t thread;  // in the grid, from 1
  };
  // An empty string, or what is wrong.
  // load() also copies the bytes to value.
  std::string load(const Access& access, void* value);
  std::string store(const Access& access);

 private:
  struct Entry {
    Buffer buffer;
    std::vector<uint32_t> writers;  // of each element of a writable buffer; 0: none
    size_t last_row = 0;
  };
  struct Place {
    Entry* entry = nullptr;
    size_t first = 0;  // element, counted through the rows
    size_t count = 0;
  };
  // Finds the bytes, or says in *fault why they are nowhere.
  Place find(const Access& access, const char* what, std::string* fault);
  static size_t find_row(Entry& entry, int64_t offset);

  std::vector<Entry> entries_;
};

}  // namespace rmsjit::emulate

#endif  // RMSJIT_TESTS_EMULATE_MEMORY_MAP_H_
