// SPDX-License-Identifier: Apache-2.0
// Byte-range locks that the kernel frees when their holder ends (open file description locks, so
// that two threads of one process exclude each other as well). A lock here only saves work; every
// failure is an unheld lock, and a lock file is never removed.
#ifndef RMSJIT_FILE_LOCK_H_
#define RMSJIT_FILE_LOCK_H_

#include <cstdint>
#include <string>

#include "cache/file_util.h"

namespace rmsjit {

struct LockAttempt {
  Fd fd;  // open while the lock is held
  bool waited = false;
};

// Waits at most wait_ms for one byte of the file `name` in `directory`, which is created with
// `mode` when missing.
LockAttempt take_lock(int directory, const std::string& name, mode_t mode, int64_t offset,
                      int wait_ms);
// Explicit, because a forked child shares the description and would hold the lock on.
void drop_lock(int fd, int64_t offset);

// $XDG_RUNTIME_DIR when it is a directory of ours alone: where locks of a network file system's
// cache live. Nothing is opened when it is not.
Fd open_runtime_directory();

}  // namespace rmsjit

#endif  // RMSJIT_FILE_LOCK_H_
