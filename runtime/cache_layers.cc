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

std::string key_reason(const std::string& reason) { return reason.empty() ? kNoEntry : reason; }

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

CacheLayers::Layer* CacheLayers::local() {
  return layers_.empty() || layers_.back().origin != Origin::kCache ? nullptr : &layers_.back();
}

void CacheLayers::open_now(Layer& layer) {
  const bool bundle = layer.origin == Origin::kBundle;
  const auto mode = bundle ? DiskCache::Mode::kReadOnly : DiskCache::Mode::kReadWrite;
  auto opened = DiskCache::open(layer.directory, mode, options_.share);
  if (opened.ok()) {
    layer.cache = std::move(opened).value();
    layer.reason.clear();
    if (const char* network = layer.cache->network_file_system(); network && options_.log) {
      options_.log(LogLevel::kInfo, fmt::format("{} is on a network file system ({}): its locks "
                                                "hold for this node only",
                                                layer.directory, network));
    }
    return;
  }
  layer.reason = "cannot be opened: " + opened.message();
  if (bundle) {
    report(kBundleClosed,
           fmt::format("bundle {} is not used: {}", layer.directory, opened.message()));
    return;
  }
  counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
  report(kLocalClosed, fmt::format("cache directory {} is not written: {}; kernels are kept in "
                                   "memory only",
                                   layer.directory, opened.message()));
  if (opened.code() == StatusCode::kUntrusted) return;
  // A read-only disk may still hold what another start of the host left there.
  auto readable = DiskCache::open(layer.directory, DiskCache::Mode::kReadOnly);
  if (readable.ok()) layer.cache = std::move(readable).value();
}

std::shared_ptr<DiskCache> CacheLayers::open(Layer& layer, std::string* reason) {
  const std::lock_guard lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  const bool first = layer.tried == std::chrono::steady_clock::time_point{};
  if (!layer.cache && (first || now - layer.tried > std::chrono::milliseconds(options_.retry_ms))) {
    layer.tried = now;
    open_now(layer);
  }
  if (reason != nullptr) *reason = layer.reason;
  return layer.cache;
}

std::optional<Acquired> CacheLayers::get(const KernelId& id, const CacheKey& key, DiskCache& cache,
                                         Origin origin, std::string* reason) {
  Lookup lookup = cache.get(key);
  const bool was_hit = lookup.kind == Lookup::Kind::kHit;
  std::optional<Acquired> found = accept(id, std::move(lookup), origin, cache.directory(), reason);
  if (was_hit && !found && cache.mode() == DiskCache::Mode::kReadWrite) {
    // Whole, but not an image for its target: out of the way of the one to come.
    static_cast<void>(cache.remove(key.digest()));
  }
  return found;
}

// Counts and reports whatever is not an image for the id.
std::optional<Acquired> CacheLayers::accept(const KernelId& id, Lookup lookup, Origin origin,
                                            const std::string& place, std::string* reason) {
  if (lookup.kind == Lookup::Kind::kHit) {
    const Status image = check_image(id.target, lookup.entry.image);
    if (!image.ok()) lookup = {Lookup::Kind::kDamaged, {}, image.message()};
  }
  if (reason != nullptr) *reason = key_reason(lookup.reason);
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
      report(kUnreadable, fmt::format("entry in {} cannot be read now: {}", place, lookup.reason));
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

std::optional<Acquired> CacheLayers::find(const KernelId& id, const std::vector<int>& majors,
                                          std::vector<errors::Place>* searched) {
  std::vector<CacheKey> keys;
  for (const int major : majors) keys.push_back(id.cache_key(major));
  // Each place under every key; the reason is that of the last key unless an earlier one says more.
  const auto search = [&](const std::string& place, std::string reason, const auto& get_key) {
    std::optional<Acquired> found;
    for (const CacheKey& key : keys) {
      std::string why;
      found = get_key(key, &why);
      if (found) return found;
      if (reason.empty() || (!why.empty() && why != kNoEntry)) reason = why;
    }
    if (searched != nullptr) searched->push_back({place, reason});
    return found;
  };
  for (Layer& layer : layers_) {
    std::string closed;
    const std::shared_ptr<DiskCache> cache = open(layer, &closed);
    std::optional<Acquired> found =
        search(layer.directory, closed, [&](const CacheKey& key, std::string* why) {
          return cache ? get(id, key, *cache, layer.origin, why) : std::nullopt;
        });
    if (found) return found;
  }
  if (!options_.storage.get) return std::nullopt;
  return search(kStorageName, "",
                [&](const CacheKey& key, std::string* why) { return find_stored(id, key, why); });
}

std::optional<Acquired> CacheLayers::find_local(const KernelId& id, const CacheKey& key) {
  Layer* layer = local();
  const std::shared_ptr<DiskCache> cache = layer == nullptr ? nullptr : open(*layer, nullptr);
  if (!cache) return std::nullopt;
  return get(id, key, *cache, Origin::kCache, nullptr);
}

KeyLock CacheLayers::lock(const CacheKey& key) {
  Layer* layer = local();
  const std::shared_ptr<DiskCache> cache = layer == nullptr ? nullptr : open(*layer, nullptr);
  if (!cache || cache->mode() != DiskCache::Mode::kReadWrite) return {};
  return cache->lock(key.digest(), options_.lock_wait_ms);
}

void CacheLayers::publish(const Entry& entry) {
  publish_to_disk(entry);
  if (!options_.storage.put || options_.storage.put(entry.digest().hex(), encode_entry(entry)))
    return;
  counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
  report(kWrite, fmt::format("kernel is not kept in {}", kStorageName));
}

void CacheLayers::publish_to_disk(const Entry& entry) {
  Layer* layer = local();
  const std::shared_ptr<DiskCache> cache = layer == nullptr ? nullptr : open(*layer, nullptr);
  if (!cache || cache->mode() != DiskCache::Mode::kReadWrite) return;
  const Status written = options_.refresh ? cache->replace(entry) : cache->put(entry);
  if (!written.ok()) {
    counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
    report(kWrite,
           fmt::format("kernel is not kept in {}: {}", cache->directory(), written.message()));
    return;
  }
  if (published_.fetch_add(1, std::memory_order_relaxed) % kPublishesBetweenPrunes != 0) return;
  const auto pruned = cache->prune(options_.cache_max_bytes, kYoungestToPrune_s, false);
  if (!pruned.ok())
    report(kWrite, fmt::format("{} is not pruned: {}", cache->directory(), pruned.message()));
}

std::string CacheLayers::nearest(const KernelId& id) {
  const std::string text = spec_text(id.spec);
  std::string other_target;
  for (Layer& layer : layers_) {
    const std::shared_ptr<DiskCache> cache = open(layer, nullptr);
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
