// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot: compiles the RMSNorm kernels of a model into a bundle on a machine with no GPU, and
// looks into bundles and caches. This file owns the table of subcommands and nothing else.
#include <string>

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
    return app.exit(error) == kDone ? kDone : kBadUsage;
  }
  return exit_code;
}
