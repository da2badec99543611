// SPDX-License-Identifier: Apache-2.0
// What every subcommand of rmsnorm-aot shares: the exit codes and how a command is added.
#ifndef RMSJIT_TOOLS_CLI_H_
#define RMSJIT_TOOLS_CLI_H_

#include <CLI/CLI.hpp>

namespace rmsjit::cli {

enum ExitCode : int {
  kDone = 0,
  kSomeFailed = 1,  // every item was tried, some item failed
  kBadUsage = 2,    // bad usage, spec or config; nothing was written
  kNotTried = 3,    // nothing could be tried: no NVRTC, a directory that cannot be made or opened
};

// Adds one subcommand to `root`; running it sets exit_code. One for each cmd_*.cc.
void add_build(CLI::App& root, int& exit_code);
void add_clear(CLI::App& root, int& exit_code);
void add_doctor(CLI::App& root, int& exit_code);
void add_explain(CLI::App& root, int& exit_code);
void add_extract(CLI::App& root, int& exit_code);
void add_keygen(CLI::App& root, int& exit_code);
void add_keys(CLI::App& root, int& exit_code);
void add_list(CLI::App& root, int& exit_code);
void add_prune(CLI::App& root, int& exit_code);
void add_show(CLI::App& root, int& exit_code);
void add_sign(CLI::App& root, int& exit_code);
void add_verify(CLI::App& root, int& exit_code);
void add_warm(CLI::App& root, int& exit_code);

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_CLI_H_
