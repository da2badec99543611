// SPDX-License-Identifier: Apache-2.0
// rmsnorm-bench: what of the benchmark is C++. One function a subcommand; tools/bench/bench.py
// drives the comparison with the peers.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "tools/bench/cold_start.h"
#include "tools/bench/compile_cost.h"
#include "tools/bench/launch_cost.h"
#include "tools/bench/tune.h"

namespace {

using namespace rmsjit::bench;
using Run = std::function<int()>;  // the exit status

CLI::App* add(CLI::App& app, const char* name, const char* text, std::string& nvrtc) {
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option("--nvrtc", nvrtc, "path of libnvrtc");
  return command;
}

Run add_tune(CLI::App& app, TuneOptions& options) {
  CLI::App* command = add(app, "tune", "time every plan and update a plan file", options.nvrtc);
  command->add_option("--plans", options.plans_path, "plan file, updated in place")->required();
  command->add_flag("--check", options.check, "leave it, and fail if it would change");
  command->add_option("--from-json", options.records, "choose from these records; needs no GPU");
  command
      ->add_option("--hidden", options.hidden,
                   "hidden sizes; those of the plan files if none is given")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--rows", options.rows, "row counts")
      ->delimiter(',')
      ->check(CLI::PositiveNumber);
  command->add_option("--variant", options.variants, "spec text without hidden; repeat");
  command->add_option("--json", options.json_path, "write every cell to this file");
  command->add_option("--jobs", options.jobs, "compiler threads");
  command->add_option("--rounds", options.rounds, "timed rounds a cell")
      ->check(CLI::PositiveNumber);
  return [&options] { return tune(options) ? 0 : 1; };
}

Run add_compile(CLI::App& app, std::string& nvrtc, int& rounds) {
  CLI::App* command =
      add(app, "compile", "cold compile against a hand-reduced source; needs no GPU", nvrtc);
  command->add_option("--rounds", rounds, "compiles of each");
  return [&] {
    compile_cost(nvrtc, rounds);
    return 0;
  };
}

Run add_launch(CLI::App& app, LaunchCostOptions& options) {
  CLI::App* command =
      add(app, "launch", "host time of a launch against the driver's own", options.nvrtc);
  command->add_option("--spec", options.specs, "spec text; repeat");
  command->add_option("--rounds", options.rounds, "bursts of 64 launches of each kind");
  command->add_option("--json", options.json_path, "write a results file");
  return [&options] {
    launch_cost(options);
    return 0;
  };
}

Run add_cold(CLI::App& app, ColdStartOptions& options, std::string& route, std::string& folder) {
  CLI::App* command = add(app, "cold", "first launch of a key in a fresh process", options.nvrtc);
  command->add_option("--spec", options.spec, "spec text");
  command->add_option("--worker", options.worker, "path of the compile worker");
  command->add_option("--rounds", options.rounds, "processes of each route");
  command->add_option("--json", options.json_path, "write a results file");
  command->add_option("--child", route)->group("");
  command->add_option("--folder", folder)->group("");
  return [&] {
    if (route.empty()) {
      cold_start(options);
    } else {
      cold_start_child(route, folder, options);
    }
    return 0;
  };
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"rmsnorm-bench: measures rmsjit on the GPU at hand"};
  app.require_subcommand(1);
  TuneOptions tune_options;
  LaunchCostOptions launch_options;
  ColdStartOptions cold_options;
  std::string nvrtc, route, folder;
  int compile_rounds = 11;
  const std::pair<const char*, Run> commands[] = {
      {"tune", add_tune(app, tune_options)},
      {"compile", add_compile(app, nvrtc, compile_rounds)},
      {"launch", add_launch(app, launch_options)},
      {"cold", add_cold(app, cold_options, route, folder)}};
  CLI11_PARSE(app, argc, argv);
  try {
    for (const auto& [name, run] : commands) {
      if (app.got_subcommand(name)) return run();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rmsnorm-bench: %s\n", error.what());
    return 3;
  }
  return 2;
}
