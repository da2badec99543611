// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot list: the entries of a bundle or cache.
#include <fmt/format.h>

#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"

namespace rmsjit::cli {
namespace {

struct ListOptions {
  CacheChoice cache;
  bool json = false, quiet = false;
};

const char* status_of(const EntryListing& listing) {
  switch (listing.lookup.kind) {
    case Lookup::Kind::kHit:
      return "ok";
    case Lookup::Kind::kDamaged:
      return "damaged";
    default:
      return "unreadable";
  }
}

void print_list_json(const std::string& directory, const std::vector<EntryListing>& listings,
                     int64_t bytes) {
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (const EntryListing& listing : listings) {
    nlohmann::ordered_json item = {{"digest", listing.digest_hex},
                                   {"status", status_of(listing)},
                                   {"bytes", listing.bytes},
                                   {"last_use", listing.modified_s}};
    if (listing.lookup.kind == Lookup::Kind::kHit) {
      const EntryMetadata& metadata = listing.lookup.entry.metadata;
      item["spec_text"] = metadata.spec_text;
      item["arch"] = listing.lookup.entry.target;
      item["registers"] = metadata.registers;
      item["spill_bytes"] = metadata.spill_bytes;
      item["nvrtc_version"] = metadata.nvrtc_version;
      item["library_version"] = metadata.library_version;
    } else {
      item["error"] = listing.lookup.reason;
    }
    items.push_back(std::move(item));
  }
  print_json({{"schema_version", 1},
              {"directory", directory},
              {"items", items},
              {"summary", {{"total", listings.size()}, {"bytes", bytes}}}});
}

void print_list_table(const std::vector<EntryListing>& listings) {
  std::vector<std::vector<std::string>> rows = {
      {"digest", "spec", "target", "regs", "spills", "bytes", "nvrtc", "rmsjit"}};
  for (const EntryListing& listing : listings) {
    const Entry& entry = listing.lookup.entry;
    const EntryMetadata& metadata = entry.metadata;
    if (listing.lookup.kind == Lookup::Kind::kHit) {
      rows.push_back({listing.digest_hex.substr(0, 12), metadata.spec_text, entry.target,
                      std::to_string(metadata.registers), std::to_string(metadata.spill_bytes),
                      std::to_string(listing.bytes), metadata.nvrtc_version,
                      metadata.library_version});
    } else {
      rows.push_back({listing.digest_hex.substr(0, 12),
                      fmt::format("{}: {}", status_of(listing), listing.lookup.reason), "-", "-",
                      "-", std::to_string(listing.bytes), "-", "-"});
    }
  }
  if (rows.size() > 1) print_table(rows);
}

int run(const ListOptions& options) {
  auto cache = options.cache.open(DiskCache::Mode::kReadOnly);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  Result<std::vector<EntryListing>> listings = (*cache)->list(true);
  if (!listings.ok()) return fail(kNotTried, listings.message());
  int64_t bytes = 0;
  for (const EntryListing& listing : *listings) bytes += listing.bytes;
  if (options.json) {
    print_list_json((*cache)->directory(), *listings, bytes);
  } else {
    print_list_table(*listings);
  }
  say(options.quiet ? Talk::kQuiet : Talk::kNormal,
      fmt::format("{} entries, {} bytes in {}", listings->size(), bytes, (*cache)->directory()));
  return kDone;
}

}  // namespace

void add_list(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<ListOptions>();
  CLI::App* command = root.add_subcommand("list", "List the entries of a bundle or cache");
  options->cache.add_to(*command);
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No summary");
  command->footer("Example:\n  rmsnorm-aot list --bundle bundle");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
