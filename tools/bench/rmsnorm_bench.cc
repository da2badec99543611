// SPDX-License-Identifier: Apache-2.0
// rmsnorm-bench: what of the benchmark is C++. `tune` finds plans; tools/bench/bench.py drives the
// comparison with the peers.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "tools/bench/compile_cost.h"
#include "tools/bench/tune.h"

int main(int argc, char** argv) {
  CLI::App app{"rmsnorm-bench: measures rmsjit's kernels on the GPU at hand"};
  app.require_subcommand(1);
  rmsjit::bench::TuneOptions tune;
  tune.hidden = {4096};
  tune.rows = {1, 16, 128, 1024, 8192};
  tune.variants = {"x=bf16,pdl=on"};
  CLI::App* tune_command = app.add_subcommand("tune", "time every plan and name the best one");
  tune_command->add_option("--hidden", tune.hidden, "hidden sizes")->delimiter(',');
  tune_command->add_option("--rows", tune.rows, "row counts")->delimiter(',');
  tune_command->add_option("--variant", tune.variants, "spec text without hidden; repeat");
  tune_command->add_option("--nvrtc", tune.nvrtc, "path of libnvrtc");
  tune_command->add_option("--json", tune.json_path, "write every cell to this file");
  tune_command->add_option("--jobs", tune.jobs, "compiler threads");
  tune_command->add_option("--rounds", tune.rounds, "timed rounds a cell");
  int compile_rounds = 11;
  CLI::App* compile_command =
      app.add_subcommand("compile", "cold compile against a hand-reduced source");
  compile_command->add_option("--nvrtc", tune.nvrtc, "path of libnvrtc");
  compile_command->add_option("--rounds", compile_rounds, "compiles of each");
  CLI11_PARSE(app, argc, argv);
  try {
    if (compile_command->parsed()) {
      rmsjit::bench::compile_cost(tune.nvrtc, compile_rounds);
      return 0;
    }
    return rmsjit::bench::tune(tune) == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rmsnorm-bench: %s\n", error.what());
    return 3;
  }
}
