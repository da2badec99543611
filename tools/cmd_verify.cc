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
#include "tools/cli_signature.h"
#include "tools/console.h"
#include "tools/spec_sources.h"

namespace rmsjit::cli {
namespace {

struct VerifyOptions {
  CacheChoice cache;
  SpecSources sources;
  SignatureChoice signature;
  bool json = false, quiet = false;
};

struct VerifyItem {
  std::string digest, spec_text, arch;
  const char* status = "ok";  // ok, missing, damaged, unreadable, refused
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

// What is whole but not as it was signed, and what was signed but is not there.
void hold_to(const Manifest& manifest, const std::vector<EntryListing>& listings,
             std::vector<VerifyItem>& items) {
  std::set<std::string> seen;
  for (size_t i = 0; i < listings.size(); ++i) {
    seen.insert(listings[i].digest_hex);
    const Result<Digest> digest = Digest::from_hex(listings[i].digest_hex);
    if (!digest.ok() || std::string_view(items[i].status) != "ok") continue;
    items[i].reason = DiskCache::why_not_signed(manifest, *digest, listings[i].lookup);
    if (!items[i].reason.empty()) items[i].status = "refused";
  }
  for (const Manifest::Item& item : manifest.items) {
    if (!seen.insert(item.entry.hex()).second) continue;
    items.push_back({.digest = item.entry.hex(),
                     .status = "missing",
                     .reason = DiskCache::why_not_signed(manifest, item.entry, Lookup())});
  }
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

void print_verify_json(const std::vector<VerifyItem>& items, std::map<std::string, int>& counts,
                       const SignatureReport& signature) {
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
  for (const char* status : {"ok", "missing", "damaged", "unreadable", "refused"}) {
    summary[status] = counts[status];
  }
  nlohmann::ordered_json seal = {{"status", signature.status}};
  if (!signature.key.empty()) seal["key"] = signature.key;
  if (signature.bad()) seal["error"] = signature.reason;
  print_json({{"schema_version", 1}, {"signature", seal}, {"items", list}, {"summary", summary}});
}

// Says what is bad; true if nothing is.
bool report(const VerifyOptions& options, const std::vector<VerifyItem>& items,
            const SignatureReport& signature, const std::string& directory) {
  std::map<std::string, int> counts;
  for (const VerifyItem& item : items) {
    ++counts[item.status];
    if (std::string_view(item.status) == "ok" || options.json) continue;
    fmt::print("{:<10} {} {} {}: {}\n", item.status, item.digest.substr(0, 12), item.arch,
               item.spec_text, item.reason);
  }
  if (options.json) print_verify_json(items, counts, signature);
  if (signature.bad()) fail(kSomeFailed, directory + ": " + signature.reason);
  const bool unsigned_but_required =
      options.signature.required && std::string_view(signature.status) == "none";
  if (unsigned_but_required) fail(kSomeFailed, directory + ": is not signed");
  say(options.quiet ? Talk::kQuiet : Talk::kNormal,
      fmt::format("{} kernels: {} ok, {} missing, {} damaged, {} unreadable, {} refused in {}; "
                  "signature: {}{}{}",
                  items.size(), counts["ok"], counts["missing"], counts["damaged"],
                  counts["unreadable"], counts["refused"], directory, signature.status,
                  signature.key.empty() ? "" : " by ", signature.key));
  return int(items.size()) == counts["ok"] && !signature.bad() && !unsigned_but_required;
}

int run(VerifyOptions& options) {
  std::vector<KernelId> kernels;
  if (options.sources.any() || !options.sources.arches.empty()) {
    Result<std::vector<KernelId>> wanted = options.sources.load_kernels();
    if (!wanted.ok()) return fail(kBadUsage, wanted.message());
    kernels = std::move(*wanted);
  }
  const Result<std::vector<PublicKey>> trusted = options.signature.keys();
  if (!trusted.ok()) return fail(kBadUsage, trusted.message());
  auto cache = options.cache.open(DiskCache::Mode::kReadOnly);
  if (cache.code() == StatusCode::kUntrusted && !trusted->empty()) {
    cache = options.cache.open(DiskCache::Mode::kSigned);
  }
  if (!cache.ok()) return fail(kNotTried, cache.message());
  Result<std::vector<EntryListing>> listings = (*cache)->list(true);
  if (!listings.ok()) return fail(kNotTried, listings.message());
  std::vector<VerifyItem> items;
  for (const EntryListing& listing : *listings) items.push_back(verify_entry(listing));
  const SignatureReport signature = check_bundle(**cache, *trusted);
  if (signature.manifest) hold_to(*signature.manifest, *listings, items);
  add_missing(**cache, kernels, items);
  return report(options, items, signature, (*cache)->directory()) ? kDone : kSomeFailed;
}

}  // namespace

void add_verify(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<VerifyOptions>();
  CLI::App* command = root.add_subcommand("verify", "Check a bundle; never writes");
  options->cache.add_to(*command);
  options->sources.add_to(*command);
  options->signature.add_to(*command);
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->add_flag("--quiet,-q", options->quiet, "No summary");
  command->footer(
      "With a source, every key that would miss is listed too.\n"
      "Example:\n  rmsnorm-aot verify --bundle bundle --model config.json --arch sm_90");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
