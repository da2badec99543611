// SPDX-License-Identifier: Apache-2.0
// A fault layer under the file calls: a shared library that a test links before libc, so that its
// open, read, rename ... are found first. Unarmed it only passes on. Armed, it counts each call of
// the thread that armed it as a step, and at a chosen step fails it, shortens it or ends the
// process. One plan at a time a process.
#ifndef RMSJIT_TESTS_FAULT_FAULT_H_
#define RMSJIT_TESTS_FAULT_FAULT_H_

#include <functional>
#include <vector>

namespace rmsjit::fault {

enum class Call {
  kAny,
  kOpen,
  kRead,
  kWrite,
  kFsync,
  kClose,
  kLink,
  kRename,
  kRenameNoReplace,
  kUnlink,
  kStat,
  kMkdir,
  kFcntl,
  kTimes,
  kList,
  kFileSystem,
  kRandom,
  kMapFile,  // mmap of a descriptor
  kCount,
};

enum class Effect {
  kCount,      // only count and record
  kFail,       // the call is not made (a close is)
  kFailAfter,  // a change of names is made and then reported as failed: a lost network reply
  kShort,      // reads and writes move half of what was asked
  kKill,       // _exit(kKilled) instead of the call
  kRun,        // somebody else's work comes first: Plan::run, itself without steps
};
inline constexpr int kKilled = 77;

struct Plan {
  Effect effect = Effect::kCount;
  int at = 1;  // step number, counted from 1
  bool from_then_on = false;
  int error = 0;              // kFail, kFailAfter
  Call only = Call::kAny;     // other calls are no steps
  std::function<void()> run;  // kRun
};

struct Report {
  int steps = 0;
  int injected = 0;
  Call first_injected = Call::kAny;
  std::vector<Call> trace;  // every step, also those that failed
};

void arm(const Plan& plan);
Report disarm();

// From here on and for every thread, calls of one kind fail with `error`, or with kLie report
// success and do nothing. 0: as usual again.
inline constexpr int kLie = -1;
void refuse(Call call, int error);

// What fstatfs says from here on, whatever the plan; 0: the truth.
void pretend_file_system(long magic);

}  // namespace rmsjit::fault

#endif  // RMSJIT_TESTS_FAULT_FAULT_H_
