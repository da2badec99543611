// SPDX-License-Identifier: Apache-2.0
// SpecSources: where the specs of a command come from: --model, --specs and --spec, each
// repeatable, all adding up. Everything is read and validated before a command does anything.
#ifndef RMSJIT_TOOLS_SPEC_SOURCES_H_
#define RMSJIT_TOOLS_SPEC_SOURCES_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "runtime/kernel_key.h"
#include "runtime/model_keys.h"

namespace rmsjit::cli {

// The model options alone, which `keys` shares.
struct ModelOptions {
  std::string like = "rmsjit";
  int tensor_parallel = 1;
  std::vector<std::string> sets;  // "field=value"

  void add_to(CLI::App& command);
  Result<std::vector<SpecOverride>> overrides() const;
  // `path` is a config.json, or a folder that holds one. Errors name the path.
  Result<ModelKeys> load(const std::string& path) const;
};

struct SpecSources {
  std::vector<std::string> models;
  std::vector<std::string> files;
  std::vector<std::string> texts;
  std::vector<std::string> arches;
  ModelOptions model_options;

  void add_to(CLI::App& command);
  bool any() const { return !models.empty() || !files.empty() || !texts.empty(); }
  // Every spec of every source. Errors: kInvalidArgument, kNotFound, kIo, naming the source.
  Result<std::vector<NormSpec>> load() const;
  // load() for every target, each distinct key once, in the order given. Errors: those of load(),
  // a missing source or --arch, kUnsupported (pdl=on on sm_80).
  Result<std::vector<KernelId>> load_kernels() const;

 private:
  Result<std::vector<Target>> targets() const;
  Status load_file(const std::string& path, std::vector<NormSpec>& specs) const;
};

// A whole file; "-" is stdin. Errors: kIo, also for a file beyond 16 MiB.
Result<std::string> read_text(const std::string& path);

}  // namespace rmsjit::cli

#endif  // RMSJIT_TOOLS_SPEC_SOURCES_H_
