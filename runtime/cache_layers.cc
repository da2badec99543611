// SPDX-License-Identifier: Apache-2.0
#include "runtime/cache_layers.h"

#include <fmt/format.h>

#include "rmsjit/spec_text.h"
#include "rmsjit/version.h"
#include "runtime/cubin_info.h"

namespace rmsjit {
namespace {

constexpr unsigned kPublishesBetweenPrunes = 64;
constexpr int64_t kYoungestToPrune_s = 600;  // an entry this young may be about to be used
constexpr const char* kStorageName = "the host's storage";
constexpr const char* kNoEntry = "no entry";

}  // namespace

CacheLayers::CacheLayers(const StoreOptions& options, Counters& counters)
    : options_(options), counters_(counters) {
  for (const std::string& path : options.bundle_paths) layers_.push_back({path, Origin::kBundle});
  if (!options.cache_dir.empty()) layers_.push_back({options.cache_dir, Origin::kCache});
}

void CacheLayers::report(Trouble trouble, const std::string& message) {
  const unsigned bit = 1u << trouble;
  const bool first = (reported_.fetch_or(bit, std::memory_order_relaxed) & bit) == 0;
  if (options_.log) options_.log(first ? LogLevel::kWarning : LogLevel::kDebug, message);
}

Bundle CacheLayers::local() {
  if (layers_.empty() || layers_.back().origin != Origin::kCache) return {};
  return open(layers_.back(), nullptr);
}

void CacheLayers::say_network(const Layer& layer) {
  const char* network = layer.opened.cache->network_file_system();
  if (network == nullptr || !options_.log) return;
  options_.log(LogLevel::kInfo, fmt::format("{} is on a network file system ({}): its locks hold "
                                            "for this node only",
                                            layer.directory, network));
}

void CacheLayers::open_bundle_now(Layer& layer) {
  Result<Bundle> opened = open_bundle(layer.directory, options_);
  if (opened.ok()) {
    layer.opened = std::move(*opened);
    layer.reason.clear();
    return say_network(layer);
  }
  layer.reason = "cannot be opened: " + opened.message();
  report(kBundleClosed,
         fmt::format("bundle {} is not used: {}", layer.directory, opened.message()));
}

void CacheLayers::open_local_now(Layer& layer) {
  auto opened = DiskCache::open(layer.directory, DiskCache::Mode::kReadWrite, options_.share);
  if (opened.ok()) {
    layer.opened.cache = std::move(*opened);
    layer.reason.clear();
    return say_network(layer);
  }
  layer.reason = "cannot be opened: " + opened.message();
  counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
  report(kDisk, fmt::format("cache directory {} is not written: {}; kernels are kept in "
                            "memory only",
                            layer.directory, opened.message()));
  if (opened.code() == StatusCode::kUntrusted) return;
  // A read-only disk may still hold what another start of the host left there.
  auto readable = DiskCache::open(layer.directory, DiskCache::Mode::kReadOnly);
  if (readable.ok()) layer.opened.cache = std::move(*readable);
}

Bundle CacheLayers::open(Layer& layer, std::string* reason) {
  const std::lock_guard lock(mutex_);
  using Clock = std::chrono::steady_clock;
  const auto now = Clock::now();
  const auto wait = std::chrono::milliseconds(options_.retry_ms);
  if (!layer.opened.cache && (layer.tried == Clock::time_point{} || now - layer.tried > wait)) {
    layer.tried = now;
    layer.origin == Origin::kBundle ? open_bundle_now(layer) : open_local_now(layer);
  }
  if (reason != nullptr) *reason = layer.reason;
  return layer.opened;
}

Result<std::optional<Acquired>> CacheLayers::get(const KernelId& id, const CacheKey& key,
                                                 const Bundle& bundle, Origin origin,
                                                 std::string* reason) {
  DiskCache& cache = *bundle.cache;
  Lookup lookup = cache.get(key);
  RMSJIT_RETURN_IF_ERROR(hold_to_manifest(bundle, key, options_, &lookup));
  const bool was_hit = lookup.kind == Lookup::Kind::kHit;
  std::optional<Acquired> found = accept(id, std::move(lookup), origin, cache.directory(), reason);
  // Whole, but not an image for its target: out of the way of the one to come.
  const bool ours = cache.mode() == DiskCache::Mode::kReadWrite;
  if (was_hit && !found && ours) static_cast<void>(cache.remove(key.digest()));
  return found;
}

// Counts and reports whatever is not an image for the id.
std::optional<Acquired> CacheLayers::accept(const KernelId& id, Lookup lookup, Origin origin,
                                            const std::string& place, std::string* reason) {
  if (lookup.kind == Lookup::Kind::kHit) {
    const Status image = check_image(id.target, lookup.entry.image);
    if (!image.ok()) lookup = {Lookup::Kind::kDamaged, {}, image.message()};
  }
  if (reason != nullptr) *reason = lookup.reason.empty() ? kNoEntry : lookup.reason;
  switch (lookup.kind) {
    case Lookup::Kind::kHit:
      (origin == Origin::kBundle ? counters_.bundle_hits : counters_.disk_hits)
          .fetch_add(1, std::memory_order_relaxed);
      return Acquired{std::move(lookup.entry), origin, 0};
    case Lookup::Kind::kMiss:
      break;
    case Lookup::Kind::kDamaged:
      counters_.damaged.fetch_add(1, std::memory_order_relaxed);
      report(kDamage, fmt::format("damaged entry in {} is not used: {}", place, lookup.reason));
      break;
    case Lookup::Kind::kUnreadable:
      counters_.read_failures.fetch_add(1, std::memory_order_relaxed);
      report(kDisk, fmt::format("entry in {} cannot be read now: {}", place, lookup.reason));
      break;
  }
  return std::nullopt;
}

std::optional<Acquired> CacheLayers::find_stored(const KernelId& id, const CacheKey& key,
                                                 std::string* reason) {
  const std::optional<std::string> bytes = options_.storage.get(key.digest().hex());
  Lookup lookup;
  if (bytes) {
    Result<Entry> entry = decode_entry(*bytes);
    if (!entry.ok()) {
      lookup = {Lookup::Kind::kDamaged, {}, entry.message()};
    } else if (entry->metadata.key_text != key.text()) {
      lookup = {Lookup::Kind::kDamaged, {}, "it is the entry of another key"};
    } else {
      lookup = {Lookup::Kind::kHit, std::move(*entry), ""};
    }
  }
  return accept(id, std::move(lookup), Origin::kCache, kStorageName, reason);
}

Result<std::optional<Acquired>> CacheLayers::find(const KernelId& id,
                                                  const std::vector<int>& majors,
                                                  std::vector<errors::Place>* searched) {
  using Found = std::optional<Acquired>;
  std::vector<CacheKey> keys;
  for (const int major : majors) keys.push_back(id.cache_key(major));
  // Each place under every key; the reason is that of the last key unless an earlier one says more.
  const auto search = [&](const std::string& place, std::string reason,
                          const auto& get_key) -> Result<Found> {
    for (const CacheKey& key : keys) {
      std::string why;
      RMSJIT_ASSIGN_OR_RETURN(Found found, get_key(key, &why));
      if (found) return found;
      if (reason.empty() || (!why.empty() && why != kNoEntry)) reason = why;
    }
    if (searched != nullptr) searched->push_back({place, reason});
    return Found();
  };
  for (Layer& layer : layers_) {
    std::string closed;
    const Bundle bundle = open(layer, &closed);
    if (!bundle.cache && options_.require_signature) {
      return errors::bundle_refused(layer.directory, closed);
    }
    RMSJIT_ASSIGN_OR_RETURN(Found found,
                            search(layer.directory, closed,
                                   [&](const CacheKey& key, std::string* why) -> Result<Found> {
                                     if (!bundle.cache) return Found();
                                     return get(id, key, bundle, layer.origin, why);
                                   }));
    if (found) return found;
  }
  if (!options_.storage.get) return Found();
  return search(kStorageName, "", [&](const CacheKey& key, std::string* why) -> Result<Found> {
    return find_stored(id, key, why);
  });
}

std::optional<Acquired> CacheLayers::find_local(const KernelId& id, const CacheKey& key) {
  const Bundle opened = local();
  if (!opened.cache) return std::nullopt;
  Result<std::optional<Acquired>> found = get(id, key, opened, Origin::kCache, nullptr);
  return found.ok() ? std::move(*found) : std::nullopt;
}

KeyLock CacheLayers::lock(const CacheKey& key) {
  const std::shared_ptr<DiskCache> cache = local().cache;
  if (!cache || cache->mode() != DiskCache::Mode::kReadWrite) return {};
  return cache->lock(key.digest(), options_.lock_wait_ms);
}

void CacheLayers::publish(const Entry& entry) {
  publish_to_disk(entry);
  if (!options_.storage.put || options_.storage.put(entry.digest().hex(), encode_entry(entry)))
    return;
  counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
  report(kDisk, fmt::format("kernel is not kept in {}", kStorageName));
}

void CacheLayers::publish_to_disk(const Entry& entry) {
  const std::shared_ptr<DiskCache> cache = local().cache;
  if (!cache || cache->mode() != DiskCache::Mode::kReadWrite) return;
  const Status written = options_.refresh ? cache->replace(entry) : cache->put(entry);
  if (!written.ok()) {
    counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
    report(kDisk,
           fmt::format("kernel is not kept in {}: {}", cache->directory(), written.message()));
    return;
  }
  if (published_.fetch_add(1, std::memory_order_relaxed) % kPublishesBetweenPrunes != 0) return;
  const auto pruned = cache->prune(options_.cache_max_bytes, kYoungestToPrune_s, false);
  if (!pruned.ok())
    report(kDisk, fmt::format("{} is not pruned: {}", cache->directory(), pruned.message()));
}

std::string CacheLayers::nearest(const KernelId& id) {
  const std::string text = spec_text(id.spec);
  std::string other_target;
  for (Layer& layer : layers_) {
    const std::shared_ptr<DiskCache> cache = open(layer, nullptr).cache;
    if (!cache) continue;
    const auto entries = cache->list(true);
    if (!entries.ok()) continue;
    for (const EntryListing& listed : *entries) {
      const Entry& entry = listed.lookup.entry;
      if (listed.lookup.kind != Lookup::Kind::kHit || entry.metadata.spec_text != text) continue;
      if (entry.target != id.target.name()) {
        other_target =
            fmt::format("{} has this spec for target {} only", layer.directory, entry.target);
      } else if (entry.metadata.template_digest != template_digest()) {
        return fmt::format("{} is for template {} (rmsjit {}), this library has {} (rmsjit {})",
                           layer.directory, entry.metadata.template_digest.substr(0, 12),
                           entry.metadata.library_version, template_digest().substr(0, 12),
                           RMSJIT_VERSION);
      } else {
        return fmt::format("{} has this spec and target with tuning {} from NVRTC {}, wanted {}",
                           layer.directory, entry.metadata.tuning_text,
                           entry.metadata.nvrtc_version, tuning_text(id.tuning));
      }
    }
  }
  return other_target;
}

}  // namespace rmsjit
