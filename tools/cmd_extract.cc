// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot extract: an entry's image and its sources as files, so that a kernel can be read,
// disassembled and rebuilt by hand.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "runtime/kernel_key.h"
#include "templates/embedded_templates.h"
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/entry_text.h"

namespace rmsjit::cli {
namespace {

namespace fs = std::filesystem;

struct ExtractOptions {
  CacheChoice cache;
  std::string digest, out;
  bool json = false;
};

struct OutputFile {
  std::string name;
  std::string text;
};

bool is_ptx(const Entry& entry) { return entry.target.rfind("compute_", 0) == 0; }

std::vector<OutputFile> files_of(const Entry& entry) {
  std::vector<OutputFile> files = {{is_ptx(entry) ? "kernel.ptx" : "kernel.cubin", entry.image},
                                   {"spec.cuh", key_field(entry, "spec.cuh")},
                                   {"entry.json", entry_json(entry).dump(2) + "\n"}};
  // The template is not in the entry; this library's is the same one only if its digest is.
  if (entry.metadata.template_digest != template_digest()) return files;
  for (const EmbeddedFile& file : embedded_templates()) {
    files.push_back({file.name, std::string(file.text)});
  }
  files.push_back({"rebuild.txt", fmt::format("nvcc {} --std=c++17 --fmad=false -arch={} -o {} "
                                              "rmsnorm.cu\n",
                                              is_ptx(entry) ? "-ptx" : "-cubin", entry.target,
                                              is_ptx(entry) ? "kernel.ptx" : "kernel.cubin")});
  return files;
}

// Everything is written to a folder of its own first, which then takes the final name at once.
Status write_folder(const std::string& out, const std::vector<OutputFile>& files) {
  std::error_code error;
  if (fs::exists(fs::symlink_status(out, error))) {
    return Status(StatusCode::kIo, out + " exists already: choose a new folder");
  }
  const std::string temporary = fmt::format("{}.{}.tmp", out, getpid());
  fs::create_directories(temporary, error);
  if (error) return Status(StatusCode::kIo, fmt::format("{}: {}", out, error.message()));
  Status status;
  for (const OutputFile& file : files) {
    std::ofstream stream(temporary + "/" + file.name, std::ios::binary);
    stream << file.text << std::flush;
    if (stream.good()) continue;
    status = Status(StatusCode::kIo, fmt::format("{}/{} cannot be written", out, file.name));
    break;
  }
  if (status.ok()) {
    fs::rename(temporary, out, error);
    if (error) status = Status(StatusCode::kIo, fmt::format("{}: {}", out, error.message()));
  }
  if (!status.ok()) fs::remove_all(temporary, error);
  return status;
}

int run(const ExtractOptions& options) {
  auto cache = options.cache.open(DiskCache::Mode::kReadOnly);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  const Result<Entry> entry = find_entry(**cache, options.digest);
  if (!entry.ok()) {
    const bool usage = entry.code() == StatusCode::kInvalidArgument;
    return fail(usage ? kBadUsage : kSomeFailed, entry.message());
  }
  const std::vector<OutputFile> files = files_of(*entry);
  const Status written = write_folder(options.out, files);
  if (!written.ok()) return fail(kNotTried, "--out " + written.message());
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const OutputFile& file : files) {
    names.push_back(options.out + "/" + file.name);
    if (!options.json) fmt::print("{}/{}\n", options.out, file.name);
  }
  if (options.json) {
    print_json({{"schema_version", 1}, {"entry", entry_json(*entry)}, {"files", names}});
  }
  return kDone;
}

}  // namespace

void add_extract(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<ExtractOptions>();
  CLI::App* command = root.add_subcommand("extract", "Write an entry's image and sources as files");
  command->add_option("digest", options->digest, "The entry's digest, or its beginning")
      ->required()
      ->type_name("DIGEST");
  options->cache.add_to(*command);
  command->add_option("--out", options->out, "A new folder")->required()->type_name("DIR");
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer("Example:\n  rmsnorm-aot extract 3fa9c1 --bundle bundle --out kernel");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
