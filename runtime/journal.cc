// SPDX-License-Identifier: Apache-2.0
#include "runtime/journal.h"

#include <fcntl.h>
#include <unistd.h>

namespace rmsjit {

bool MissJournal::add(const std::string& spec_text) {
  if (path_.empty()) return true;
  const std::lock_guard lock(mutex_);
  if (!written_.insert(spec_text).second) return true;
  // O_NONBLOCK: a FIFO that nobody reads must not stop a launch.
  const int fd = open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0600);
  if (fd < 0) return false;
  // One write, so that lines of several processes stay whole.
  const std::string line = spec_text + "\n";
  const bool whole = write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size());
  return (close(fd) == 0) & whole;
}

}  // namespace rmsjit
