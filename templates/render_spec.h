// SPDX-License-Identifier: Apache-2.0
// render_spec: the text of spec.cuh, the header that specialises the template. Everything that can
// change the generated code is in this text, so the text is a field of the cache key.
#ifndef RMSJIT_RENDER_SPEC_H_
#define RMSJIT_RENDER_SPEC_H_

#include <cstdint>
#include <string>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"

namespace rmsjit {

// Under PDL, when the next kernel may start: right after this one's wait, when its loads are
// issued, behind the loads where ptxas makes it (as a rule where the first of them is used, which
// is when it has arrived; tools/bench/trigger_places.py shows each plan's), or after its stores. It
// waits for the end of this one in any case before it touches memory.
enum class Trigger { kWait, kIssue, kLoads, kEnd };
inline constexpr const char* kTriggerNames[] = {"wait", "issue", "loads", "end"};

// How an entry deals rows to threads. No choice here changes a bit of the result (DESIGN: the fixed
// sum).
struct Schedule {
  // Threads a row in one block: a power of two, or any multiple of 32 that is at least
  // leaves_of(spec); two at least where two lanes have a term together (leaves of four elements).
  int threads_per_row = 0;
  // Blocks a row: 1, 2, 4 or 8, or 16 in an extra schedule. More than one (a cluster, sm_90 and
  // newer) has threads_per_row a power of two of whole warps, and one row.
  int cluster = 1;
  // blockDim.y: this, or with heads any value from min_rows_per_block() on; threads x rows <= 1024.
  int max_rows_per_block = 1;
  // Where a thread's leaves wait for the sum: the first in registers, the next in shared memory,
  // and the rest nowhere: they are read again, from L2. One leaf a slot, ceil(leaves / threads /
  // cluster) slots.
  int register_slots = 1;
  int shared_slots = 0;
  // Weight loaded before the sum (hides its latency), or after it (fewer registers).
  bool weight_early = true;
  bool weight_ahead = false;  // early, and asked for at the start, into L2 (sm_90 and newer)
  Trigger trigger = Trigger::kLoads;
  // Leaves whose loads are in flight together before the first of them is used.
  int load_chunk = 4;

  // Rows that fill whole warps.
  int min_rows_per_block() const { return threads_per_row < 32 ? 32 / threads_per_row : 1; }
  friend bool operator==(const Schedule&, const Schedule&) = default;
};

// What a kernel is compiled for; chosen by runtime/launch_plan.cc alone.
struct Tuning : Schedule {
  // Another schedule for some launches, by their number of rows: an entry of its own. For packed
  // rows, but where the spec's are realigned for those that are not.
  struct Extra : Schedule {  // threads_per_row 0: there is none
    int bound = 0, end = 0;
    explicit operator bool() const { return threads_per_row != 0; }
    friend bool operator==(const Extra&, const Extra&) = default;
  };
  // While two multiprocessors have `bound` blocks at most, of a row each: one is spread over more
  // threads or blocks, whose registers cost nothing there, or over fewer, which join sooner.
  Extra few;
  // From `bound` rows a multiprocessor on, which may be all, and below `end` if that is not 0: more
  // blocks in flight hide more than a row's latency, or fewer threads a row are one wave where the
  // first schedule would begin a second. `few` comes first.
  Extra many;

  friend bool operator==(const Tuning&, const Tuning&) = default;
};

// The entries of rmsnorm.cu; the last two only where the plan has those schedules.
enum class KernelEntry : uint8_t { kPacked, kAny, kFew, kMany };
inline constexpr int kKernelEntries = 4;
const char* entry_name(KernelEntry entry);

// Elements of a leaf, a thread's unit of work: eight, or four where every tensor is f32, so that
// those rows too are moved in accesses of 16 bytes side by side.
int leaf_elements(const NormSpec& spec);
// Of a row, the last one perhaps a part.
int leaves_of(const NormSpec& spec);

// Whether the unpacked entry realigns leaves (templates/realign.cuh): for rows of at least a warp
// whose size is no multiple of a leaf. Contiguous, they are unaligned all but always. Elsewhere
// that entry serves the odd view, and the code is not worth its compile time.
bool realigns(const NormSpec& spec, int threads_per_row);

// Whether this entry is for packed rows: those of extra schedules are, but where rows are
// realigned, which is then said of all schedules or none.
bool takes_packed(const NormSpec& spec, const Tuning& tuning, KernelEntry entry);

// 32-bit registers of a leaf of such elements.
int leaf_words(const NormSpec& spec, DType dtype);

// 32-bit registers that hold one leaf of h between the sum and the output.
int held_leaf_words(const NormSpec& spec);

// The rows of which a launch moves no more than L2 holds. One of more gives up its inputs last,
// which on an H200 takes up to 4 % off most, and a matrix product after it takes as long as without
// (tools/bench/results/NOTES.md). kAnyRows where the kernel has no policy: on other targets, of
// which nothing is known, for rows too short to gain, and for heads, whose rows are that short.
inline constexpr int64_t kAnyRows = INT64_MAX;
int64_t rows_in_l2(const NormSpec& spec, const Target& target);

// What a launch has to ask for: 0 unless the plan needs more shared memory than a kernel has by
// itself.
int dynamic_shared_bytes(const NormSpec& spec, const Schedule& schedule);

// The schedule that an entry is compiled by.
inline const Schedule& schedule_of(const Tuning& tuning, KernelEntry entry) {
  if (entry == KernelEntry::kFew) return tuning.few;
  if (entry == KernelEntry::kMany) return tuning.many;
  return tuning;
}
inline bool has_entry(const Tuning& tuning, KernelEntry entry) {
  return entry <= KernelEntry::kAny || schedule_of(tuning, entry).threads_per_row != 0;
}

// "threads=256,rows=1,cluster=1,registers=4,shared=0,weight=early,trigger=loads,chunk=4", and where
// the plan has them ",few=2(threads=...)" up to a block a multiprocessor, ",many=8(...)" from eight
// rows a multiprocessor on or ",many=8..20(...)" below twenty: for tables, metadata and messages.
std::string tuning_text(const Tuning& tuning);

// Requires: spec is canonical for target, tuning is valid for spec. The same arguments always give
// the same text.
std::string render_spec(const NormSpec& spec, const Tuning& tuning, const Target& target);

}  // namespace rmsjit

#endif  // RMSJIT_RENDER_SPEC_H_
