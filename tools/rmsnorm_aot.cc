// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot: compiles the RMSNorm kernels of a model into a bundle on a machine with no GPU, and
// looks into bundles and caches. This file owns the table of subcommands and nothing else.
#include <algorithm>
#include <string>
#include <vector>

#include "rmsjit/version.h"
#include "tools/cli.h"
#include "tools/console.h"

namespace {

using rmsjit::cli::kBadUsage;
using rmsjit::cli::kDone;

constexpr void (*kCommands[])(CLI::App&, int&) = {
    rmsjit::cli::add_build,   rmsjit::cli::add_keys,    rmsjit::cli::add_list,
    rmsjit::cli::add_show,    rmsjit::cli::add_verify,  rmsjit::cli::add_warm,
    rmsjit::cli::add_explain, rmsjit::cli::add_extract, rmsjit::cli::add_prune,
    rmsjit::cli::add_clear,   rmsjit::cli::add_doctor,  rmsjit::cli::add_keygen,
    rmsjit::cli::add_sign,
};

// Empty for a command that there is; CLI11 would say no more than that it wants one.
std::string wrong_command(const CLI::App& app, const std::string& given) {
  std::string known;
  for (const CLI::App* command : app.get_subcommands(nullptr)) {
    if (command->get_name() == given) return "";
    known += (known.empty() ? "" : ", ") + command->get_name();
  }
  return "command \"" + given + "\" is not known: use " + known;
}

std::string option_names(const CLI::App& command) {
  std::string names;
  for (const CLI::Option* option : command.get_options()) {
    if (!option->nonpositional()) continue;
    names += (names.empty() ? "" : ", ") + option->get_name();
  }
  return names;
}

// What CLI11 has to say about bad usage, in the form of every other error.
std::string wrong_usage(const CLI::App& app, const CLI::ParseError& error) {
  const auto commands = app.get_subcommands();
  const CLI::App& command = commands.empty() ? app : *commands.front();
  const std::vector<std::string> unknown = command.remaining(true);
  if (unknown.empty()) return error.what();
  const auto is_option = [](const std::string& text) { return text.starts_with('-'); };
  const auto option = std::ranges::find_if(unknown, is_option);  // its value may be there too
  return "\"" + (option == unknown.end() ? unknown.front() : *option) + "\" is not known: use " +
         option_names(command);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Compiles RMSNorm kernels ahead of time and looks after the bundles.",
               "rmsnorm-aot"};
  app.set_version_flag("--version", RMSJIT_VERSION);
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done, 1 some item failed, 2 bad usage, 3 nothing could be tried.\n"
      "Example:\n  rmsnorm-aot build --model config.json --arch sm_80,sm_90 --out bundle");
  int exit_code = kDone;
  for (const auto add : kCommands) add(app, exit_code);
  const std::string given = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
  const std::string wrong = given.empty() ? "" : wrong_command(app, given);
  if (!wrong.empty()) return rmsjit::cli::fail(kBadUsage, wrong);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == kDone) return app.exit(error);
    return rmsjit::cli::fail(kBadUsage, wrong_usage(app, error));
  }
  return exit_code;
}
