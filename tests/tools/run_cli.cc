// SPDX-License-Identifier: Apache-2.0
#include "tests/tools/run_cli.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

namespace rmsjit {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& arguments,
                         const CliSetup& setup, int out, int err) {
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  for (const auto& [name, value] : setup.environment) setenv(name.c_str(), value.c_str(), 1);
  if (!setup.folder.empty() && chdir(setup.folder.c_str()) != 0) _exit(126);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  if (setup.in_child) setup.in_child();
  execv(program.c_str(), argv.data());
  _exit(127);
}

std::string drain(int fd) {
  std::string text;
  char buffer[4096];
  for (ssize_t n = 0; (n = read(fd, buffer, sizeof buffer)) > 0;) text.append(buffer, size_t(n));
  close(fd);
  return text;
}

}  // namespace

CliResult run_cli(const std::vector<std::string>& arguments, const CliSetup& setup) {
  return run_program(RMSJIT_CLI, arguments, setup);
}

CliResult run_program(const std::string& program, const std::vector<std::string>& arguments,
                      const CliSetup& setup) {
  int out[2], err[2];
  if (pipe(out) != 0 || pipe(err) != 0) {
    ADD_FAILURE() << "no pipe";
    return {};
  }
  const pid_t child = fork();
  if (child == 0) become(program, arguments, setup, out[1], err[1]);
  close(out[1]);
  close(err[1]);
  CliResult result;
  std::thread err_reader([&] { result.err = drain(err[0]); });
  std::thread out_reader([&] { result.out = drain(out[0]); });
  if (setup.while_running) setup.while_running(child);
  int status = 0;
  waitpid(child, &status, 0);
  err_reader.join();
  out_reader.join();
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

CliTest::CliTest() {
  std::string pattern = (fs::temp_directory_path() / "rmsjit-cli-XXXXXX").string();
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  root_ = pattern;
}

CliTest::~CliTest() {
  std::error_code error;
  fs::remove_all(root_, error);
}

std::string CliTest::write(const std::string& name, const std::string& text) const {
  std::ofstream(path(name), std::ios::binary) << text;
  return path(name);
}

std::string CliTest::model(const std::string& name) {
  return std::string(RMSJIT_MODEL_CONFIGS) + "/" + name + ".json";
}

void CliBuildTest::SetUp() {
  const nlohmann::json nvrtc = run_cli({"doctor", "--json"}).json()["nvrtc"];
  if (!nvrtc["found"].get<bool>()) GTEST_SKIP() << nvrtc["error"].get<std::string>();
}

CliResult CliBuildTest::build(std::vector<std::string> arguments, const CliSetup& setup) {
  arguments.insert(arguments.begin(), {"build", "--json", "--out", path("bundle")});
  return run_cli(arguments, setup);
}

CliResult CliBuildTest::build_two() {
  return build({"--spec", "hidden=64", "--spec", "hidden=64,residual=add", "--arch", "sm_90"});
}

CliResult CliBuildTest::verify(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"verify", "--json", "--bundle", path("bundle")});
  return run_cli(arguments);
}

std::string CliBuildTest::an_entry_file() const {
  const auto files = files_below(path("bundle/v1/obj"));
  return files.empty() ? "" : path("bundle/v1/obj/" + files.begin()->first);
}

std::string read_whole(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::map<std::string, std::string> files_below(const std::string& folder) {
  std::map<std::string, std::string> files;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file()) {
      files[fs::relative(entry.path(), folder).string()] = read_whole(entry.path());
    }
  }
  return files;
}

}  // namespace rmsjit
