// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot explain: each field of a kernel's key, and on a miss the first one that differs from
// the nearest entry. Writes nothing.
#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "rmsjit/spec_text.h"
#include "runtime/spec_json.h"
#include "tools/cli.h"
#include "tools/cli_cache.h"
#include "tools/console.h"
#include "tools/spec_sources.h"

namespace rmsjit::cli {
namespace {

struct ExplainOptions {
  CacheChoice cache;
  SpecSources sources;
  bool json = false;
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// 1 for equal texts, else the share of lines that stand at the same place in both.
double likeness(const std::string& a, const std::string& b) {
  if (a == b) return 1;
  const std::vector<std::string> left = lines_of(a), right = lines_of(b);
  const size_t longer = std::max(left.size(), right.size());
  size_t equal = 0;
  for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) equal += left[i] == right[i];
  return longer == 0 ? 0 : 0.99 * double(equal) / double(longer);
}

std::string value_of(const CacheKey& key, const std::string& label) {
  for (const CacheKey::Field& field : key.fields) {
    if (field.label == label) return field.value;
  }
  return "";
}

struct Nearest {
  const Entry* entry = nullptr;
  CacheKey key;
};

Nearest nearest_entry(const CacheKey& wanted, const std::vector<EntryListing>& listings) {
  Nearest best;
  double best_score = -1;
  for (const EntryListing& listing : listings) {
    if (listing.lookup.kind != Lookup::Kind::kHit) continue;
    Result<CacheKey> key = CacheKey::from_text(listing.lookup.entry.metadata.key_text);
    if (!key.ok()) continue;
    double score = 0;
    for (const auto& field : wanted.fields) {
      score += likeness(field.value, value_of(*key, field.label));
    }
    if (score <= best_score) continue;
    best_score = score;
    best = {&listing.lookup.entry, std::move(*key)};
  }
  return best;
}

// The first field that differs, and of a text of several lines the first line that does.
struct Difference {
  std::string label, wanted, there;
};

Difference first_difference(const CacheKey& wanted, const CacheKey& there) {
  for (const CacheKey::Field& field : wanted.fields) {
    const std::string other = value_of(there, field.label);
    if (field.value == other) continue;
    const std::vector<std::string> left = lines_of(field.value), right = lines_of(other);
    for (size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
      if (left[i] != right[i]) return {field.label, left[i], right[i]};
    }
    return {field.label, field.value, other};
  }
  return {};
}

std::string one_line(const CacheKey::Field& field) {
  if (field.value.find('\n') == std::string::npos) return field.value;
  return fmt::format("{} bytes, SHA-256 {}", field.value.size(), sha256(field.value).hex());
}

nlohmann::ordered_json explain_json(const KernelId& id, const Found& found,
                                    const Nearest& nearest) {
  nlohmann::ordered_json fields = nlohmann::ordered_json::array();
  for (const auto& field : found.key.fields) {
    fields.push_back({{"label", field.label}, {"value", field.value}});
  }
  const bool hit = found.lookup.kind == Lookup::Kind::kHit;
  nlohmann::ordered_json item = {{"digest", found.key.digest().hex()},
                                 {"spec", spec_to_json(id.spec)},
                                 {"spec_text", spec_text(id.spec)},
                                 {"arch", id.target.name()},
                                 {"status", hit ? "hit" : "miss"},
                                 {"reason", found.lookup.reason},
                                 {"fields", fields},
                                 {"nearest", nullptr}};
  if (nearest.entry != nullptr) {
    const Difference difference = first_difference(found.key, nearest.key);
    item["nearest"] = {{"digest", nearest.entry->digest().hex()},
                       {"spec_text", nearest.entry->metadata.spec_text},
                       {"arch", nearest.entry->target},
                       {"library_version", nearest.entry->metadata.library_version},
                       {"differs", difference.label},
                       {"wanted", difference.wanted},
                       {"there", difference.there}};
  }
  return item;
}

void explain_text(const KernelId& id, const Found& found, const Nearest& nearest) {
  const bool hit = found.lookup.kind == Lookup::Kind::kHit;
  fmt::print("{} for {}: {}{}\n", spec_text(id.spec), id.target.name(), hit ? "hit" : "miss",
             found.lookup.reason.empty() ? "" : " (" + found.lookup.reason + ")");
  fmt::print("  {:<9} {}\n", "digest", found.key.digest().hex());
  fmt::print("  {:<9} {}\n", "tuning", tuning_text(id.tuning));
  for (const auto& field : found.key.fields) {
    fmt::print("  {:<9} {}\n", field.label, one_line(field));
  }
  if (nearest.entry == nullptr) return;
  const Difference difference = first_difference(found.key, nearest.key);
  fmt::print("  nearest   {} ({} for {}, rmsjit {}) differs first in {}:\n",
             nearest.entry->digest().hex().substr(0, 12), nearest.entry->metadata.spec_text,
             nearest.entry->target, nearest.entry->metadata.library_version, difference.label);
  fmt::print("    wanted  {}\n    there   {}\n", difference.wanted, difference.there);
}

int run(const ExplainOptions& options) {
  Result<std::vector<KernelId>> kernels = options.sources.load_kernels();
  if (!kernels.ok()) return fail(kBadUsage, kernels.message());
  auto cache = options.cache.open(DiskCache::Mode::kReadOnly);
  if (!cache.ok()) return fail(kNotTried, cache.message());
  const Result<std::vector<EntryListing>> listings = (*cache)->list(true);
  if (!listings.ok()) return fail(kNotTried, listings.message());
  const std::vector<int> majors = loadable_majors();
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  int misses = 0;
  for (const KernelId& id : *kernels) {
    const Found found = find_kernel(**cache, id, majors);
    const bool hit = found.lookup.kind == Lookup::Kind::kHit;
    misses += !hit;
    const Nearest nearest = hit ? Nearest{} : nearest_entry(found.key, *listings);
    if (options.json) {
      items.push_back(explain_json(id, found, nearest));
    } else {
      explain_text(id, found, nearest);
    }
  }
  if (options.json) {
    print_json({{"schema_version", 1},
                {"items", items},
                {"summary", {{"total", kernels->size()}, {"missing", misses}}}});
  }
  return misses == 0 ? kDone : kSomeFailed;
}

}  // namespace

void add_explain(CLI::App& root, int& exit_code) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = root.add_subcommand("explain", "Show a kernel's key, and why it misses");
  options->cache.add_to(*command);
  options->sources.add_to(*command);
  command->add_flag("--json", options->json, "One JSON object on stdout");
  command->footer(
      "Example:\n  rmsnorm-aot explain --spec hidden=4096 --arch sm_90 --bundle bundle");
  command->callback([options, &exit_code] { exit_code = run(*options); });
}

}  // namespace rmsjit::cli
