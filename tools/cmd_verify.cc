// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot verify: every entry is read and checked; with sources, every key that would miss is
// listed too. Writes nothing and takes no lock.
#include <fmt/format.h>

#include <set>

#include "rmsjit/spec_text.h"
#include "runtime/cubin_info.h"
#include "runtime/spec_json.h"
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/spec_sources.h"

namespace rmsjit::cli {
namespace {

struct VerifyOptions {
  CacheChoice cache;
  SpecSources sources;
  bool json = false, quiet = false;
};

struct VerifyItem {
  std::string digest, spec_text, arch;
  const char* status = "ok";  // ok, missing, damaged, unreadable
  std::string reason;
};

// The cache has checked the bytes; whether the image is one for the entry's target is asked here.
Status image_status(const Entry& entry) {
  RMSJIT_ASSIGN_OR_RETURN(const Target target, parse_target(entry.target));
  return check_image(target, entry.image);
}

VerifyItem verify_entry(const EntryListing& listing) {
  VerifyItem item{.digest = listing.digest_hex};
  if (listing.lookup.kind != Lookup::Kind::kHit) {
    item.status = listing.lookup.kind == Lookup::Kind::kDamaged ? "damaged" : "unreadable";
    item.reason = listing.lookup.reason;
    return item;
  }
  item.spec_text = listing.lookup.entry.metadata.spec_text;
  item.arch = listing.lookup.entry.target;
  const Status image = image_status(listing.lookup.entry);
  if (!image.ok()) {
    item.status = "damaged";
    item.reason = image.message();
  }
  return item;
}

// Only what the walk over the files has not already reported under this digest.
void add_missing(DiskCache& cache, const std::vector<KernelId>& kernels,
                 std::vector<VerifyItem>& items) {
  std::set<std::string> seen;
  for (const VerifyItem& item : items) seen.insert(item.digest);
  const std::vector<int> majors = loadable_majors();
  for (const KernelId& id : kernels) {
    const Found found = find_kernel(cache, id, majors);
    const std::string digest = found.key.digest().hex();
    if (found.lookup.kind == Lookup::Kind::kHit || !seen.insert(digest).second) continue;
    items.push_back({digest, spec_text(id.spec), id.target.name(), "missing", "no entry"});
  }
}

void print_verify_json(const std::vector<VerifyItem>& items,
                       const std::map<std::string, int>& counts) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const VerifyItem& item : items) {
    nlohmann::ordered_json json = {{"digest", item.digest}, {"spec", nullptr}, {"arch", nullptr}};
    const Result<NormSpec> spec = parse_spec(item.spec_text);
    if (spec.ok()) json["spec"] = spec_to_json(*spec);
    if (!item.arch.empty()) json["arch"] = item.arch;
    json["status"] = item.status;
    if (!item.reason.empty()) json["error"] = item.reason;
    list.push_back(std::move(json));
  }
  nlohmann::ordered_json summary = {{"total", items.size()}};
  for (const char* status : {"ok", "missing", "damaged", "unreadable"}) {
    summary[status] = counts.count(status) ? counts.at(status) : 0;
  }
  print_json({{"schema_version", 1}, {"items", list}, {"summary", summary}});
}

int run(const VerifyOptions& options) {
  std::vector<KernelId> kernels;
  if (options.sources.any() || !options.sources.arches.empty()) {
    Result<std::vector<KernelId>> wanted = options.sources.load_kernels();
    if (!wanted.ok()) return fail(kBadUsage, wanted.message());
    kernels = std::move(*wanted);
  }
  auto cache = options.cache.open(DiskCache::Mode::kReadOnly);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  Result<std::vector<EntryListing>> listings = (*cache)->list(true);
  if (!listings.ok()) return fail(kNotTried, listings.message());
  std::vector<VerifyItem> items;
  for (const EntryListing& listing : *listings) items.push_back(verify_entry(listing));
  add_missing(**cache, kernels, items);

  std::map<std::string, int> counts;
  for (const VerifyItem& item : items) {
    ++counts[item.status];
    if (std::string_view(item.status) == "ok" || options.json) continue;
    fmt::print("{:<10} {} {} {}: {}\n", item.status, item.digest.substr(0, 12), item.arch,
               item.spec_text, item.reason);
  }
  if (options.json) print_verify_json(items, counts);
  const int bad = int(items.size()) - counts["ok"];
  say(options.quiet ? Talk::kQuiet : Talk::kNormal,
      fmt::format("{} kernels: {} ok, {} missing, {} damaged, {} unreadable in {}", items.size(),
                  counts["ok"], counts["missing"], counts["damaged"], counts["unreadable"],
                  (*cache)->directory()));
  return bad == 0 ? kDone : kSomeFailed;
}

}  // namespace

void add_verify(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = root.add_subcommand("verify", "Check a bundle; never writes");
  options->cache.add_to(*command);
  options->sources.add_to(*command);
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No summary");
  command->footer(
      "With a source, every key that would miss is listed too.\n"
      "Example:\n  rmsnorm-aot verify --bundle bundle --model config.json --arch sm_90");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
