// SPDX-License-Identifier: Apache-2.0
// The command's two voices: data on stdout, talk on stderr. Colour and the progress bar appear on a
// terminal only; NO_COLOR and --quiet are honoured.
#ifndef RMSJIT_TOOLS_CONSOLE_H_
#define RMSJIT_TOOLS_CONSOLE_H_

#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/status.h"

namespace rmsjit::cli {

enum class Talk { kNormal, kQuiet };

// "rmsnorm-aot: MESSAGE" on stderr, whatever --quiet says; returns `exit_code`.
int fail(int exit_code, std::string_view message);
// The same for a line of talk that is not an error; silent under kQuiet.
void say(Talk talk, std::string_view message);

// One JSON object and a newline on stdout.
void print_json(const nlohmann::ordered_json& object);

// Rows of equal length, columns padded; the first row is the heading. Numbers are aligned right.
void print_table(const std::vector<std::vector<std::string>>& rows);

// One line on stderr that is drawn over; nothing when stderr is not a terminal or talk is quiet.
class ProgressBar {
 public:
  ProgressBar(Talk talk, size_t total);
  ~ProgressBar();  // wipes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void step(std::string_view what);  // thread-safe

 private:
  const bool shown_;
  const size_t total_;
  std::mutex mutex_;
  size_t done_ = 0;
};

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_CONSOLE_H_
