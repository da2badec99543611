// SPDX-License-Identifier: Apache-2.0
#include "tools/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace rmsjit::cli {
namespace {

bool colour_allowed(int fd) {
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(fd) && (no_color == nullptr || no_color[0] == '\0');
}

bool is_number(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789.-") == std::string::npos;
}

}  // namespace

int fail(int exit_code, std::string_view message) {
  fmt::print(stderr, "rmsnorm-aot: {}\n", message);
  return exit_code;
}

void say(Talk talk, std::string_view message) {
  if (talk == Talk::kNormal) fmt::print(stderr, "{}\n", message);
}

void print_json(const nlohmann::ordered_json& object) {
  fmt::print("{}\n", object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_table(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return;
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const bool bold = colour_allowed(STDOUT_FILENO);
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const bool right = is_number(row[i]) || (&row == &rows.front() && is_number(rows.back()[i]));
      line += fmt::format(fmt::runtime(right ? "{:>{}}  " : "{:<{}}  "), row[i], widths[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    const bool heading = bold && &row == &rows.front();
    fmt::print("{}{}{}\n", heading ? "\033[1m" : "", line, heading ? "\033[0m" : "");
  }
}

ProgressBar::ProgressBar(Talk talk, size_t total)
    : shown_(talk == Talk::kNormal && isatty(STDERR_FILENO)), total_(total) {}

ProgressBar::~ProgressBar() {
  if (shown_) fmt::print(stderr, "\r\033[K");
}

void ProgressBar::step(std::string_view what) {
  constexpr size_t kWidth = 30;
  if (!shown_) return;
  const std::lock_guard lock(mutex_);
  ++done_;
  const size_t filled = total_ == 0 ? kWidth : done_ * kWidth / total_;
  fmt::print(stderr, "\r\033[K[{:#<{}}{:.<{}}] {}/{} {}", "", filled, "", kWidth - filled, done_,
             total_, what.substr(0, 40));
  std::fflush(stderr);
}

}  // namespace rmsjit::cli
