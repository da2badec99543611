// SPDX-License-Identifier: Apache-2.0
// CacheLayers: the bundles and the local directory of a store, opened when first needed, searched
// in order and written best-effort. No trouble here is an error: each kind is logged once and
// counted. Thread-safe.
#ifndef RMSJIT_CACHE_LAYERS_H_
#define RMSJIT_CACHE_LAYERS_H_

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cache/disk_cache.h"
#include "runtime/errors.h"
#include "runtime/kernel_store.h"

namespace rmsjit {

class CacheLayers {
 public:
  // options and counters outlive this object.
  CacheLayers(const StoreOptions& options, Counters& counters);

  // The first intact entry for the key of any major, bundles first. `searched` (may be null)
  // receives each place that had none.
  std::optional<Acquired> find(const KernelId& id, const std::vector<int>& majors,
                               std::vector<errors::Place>* searched);
  // The local directory only: the second look of a process that held or waited for the key's lock.
  std::optional<Acquired> find_local(const KernelId& id, const CacheKey& key);
  KeyLock lock(const CacheKey& key);
  // First writer wins, or replaces when options.refresh. Prunes now and then.
  void publish(const Entry& entry);
  // What the layers hold for the same spec or target under another key; empty if nothing is near.
  std::string nearest(const KernelId& id);

 private:
  enum Trouble { kBundleClosed, kLocalClosed, kDamage, kUnreadable, kWrite };
  struct Layer {
    std::string directory;
    Origin origin = Origin::kBundle;
    std::shared_ptr<DiskCache> cache;
    std::string reason;  // why cache is null
    std::chrono::steady_clock::time_point tried{};
  };

  std::shared_ptr<DiskCache> open(Layer& layer, std::string* reason);
  void open_now(Layer& layer);
  std::optional<Acquired> accept(const KernelId& id, Lookup lookup, Origin origin,
                                 const std::string& place, std::string* reason);
  std::optional<Acquired> find_stored(const KernelId& id, const CacheKey& key, std::string* reason);
  void publish_to_disk(const Entry& entry);
  std::optional<Acquired> get(const KernelId& id, const CacheKey& key, DiskCache& cache,
                              Origin origin, std::string* reason);
  void report(Trouble trouble, const std::string& message);
  Layer* local();

  const StoreOptions& options_;
  Counters& counters_;
  std::mutex mutex_;  // guards the fields of each Layer
  std::vector<Layer> layers_;
  std::atomic<unsigned> reported_{0};
  std::atomic<unsigned> published_{0};
};

}  // namespace rmsjit

#endif  // RMSJIT_CACHE_LAYERS_H_
