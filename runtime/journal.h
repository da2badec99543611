// SPDX-License-Identifier: Apache-2.0
// MissJournal: the spec text of each key that had to be compiled, or could not be had, one a line:
// what `rmsnorm-aot build --specs` reads to fill the gap. Best effort; each text once a process.
#ifndef RMSJIT_JOURNAL_H_
#define RMSJIT_JOURNAL_H_

#include <mutex>
#include <set>
#include <string>

namespace rmsjit {

class MissJournal {
 public:
  explicit MissJournal(std::string path) : path_(std::move(path)) {}  // empty: no journal
  // False where the line could not be written.
  bool add(const std::string& spec_text);

 private:
  const std::string path_;
  std::mutex mutex_;
  std::set<std::string> written_;
};

}  // namespace rmsjit

#endif  // RMSJIT_JOURNAL_H_
