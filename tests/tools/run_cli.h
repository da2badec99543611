// SPDX-License-Identifier: Apache-2.0
// Runs the real rmsnorm-aot as a user would and keeps what it said. A scratch folder for each test.
#ifndef RMSJIT_TESTS_TOOLS_RUN_CLI_H_
#define RMSJIT_TESTS_TOOLS_RUN_CLI_H_

#include <gtest/gtest.h>
#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace rmsjit {

struct CliResult {
  int exit_code = -1;  // -1 when ended by a signal
  int signal = 0;
  std::string out, err;

  nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
};

struct CliSetup {
  std::map<std::string, std::string> environment = {};  // added to this process's own
  std::string folder = {};                              // working folder; empty: this process's
  std::function<void()> in_child = {};                  // just before exec
  std::function<void(pid_t)> while_running = {};
};

CliResult run_cli(const std::vector<std::string>& arguments, const CliSetup& setup = {});
// The same for a copy of the command.
CliResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                      const CliSetup& setup);

class CliTest : public ::testing::Test {
 protected:
  CliTest();
  ~CliTest() override;
  std::string path(const std::string& name) const { return root_ + "/" + name; }
  std::string write(const std::string& name, const std::string& text) const;
  static std::string model(const std::string& name);

 private:
  std::string root_;
};

// The same for tests that build path("bundle"), skipped with a reason where there is no NVRTC.
class CliBuildTest : public CliTest {
 protected:
  void SetUp() override;
  CliResult build(std::vector<std::string> arguments, const CliSetup& setup = {});
  CliResult build_two();  // hidden=64 and hidden=64,residual=add for sm_90
  CliResult verify(std::vector<std::string> arguments = {});
  std::string an_entry_file() const;
};

std::string read_whole(const std::filesystem::path& path);
// Name relative to `folder` to content, for every regular file below it.
std::map<std::string, std::string> files_below(const std::string& folder);

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_TOOLS_RUN_CLI_H_
