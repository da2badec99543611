// SPDX-License-Identifier: Apache-2.0
// CacheLayers: the bundles and the local directory of a store, opened when first needed, searched
// in order and written best-effort. No trouble here is an error, unless a signature is required
// (signature_policy.h): each kind is logged once and counted. Thread-safe.
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
#include "runtime/signature_policy.h"

namespace rmsjit {

class CacheLayers {
 public:
  // options and counters outlive this object.
  CacheLayers(const StoreOptions& options, Counters& counters);

  // The first intact entry for the key of any major, bundles first. `searched` (may be null)
  // receives each place that had none. Errors: kUntrusted and kIo, where a signature is required.
  Result<std::optional<Acquired>> find(const KernelId& id, const std::vector<int>& majors,
                                       std::vector<errors::Place>* searched);
  // The local directory only: the second look of a process that held or waited for the key's lock.
  std::optional<Acquired> find_local(const KernelId& id, const CacheKey& key);
  KeyLock lock(const CacheKey& key);
  // First writer wins, or replaces when options.refresh. Prunes now and then.
  void publish(const Entry& entry);
  // What the layers hold for the same spec or target under another key; empty if nothing is near.
  std::string nearest(const KernelId& id);

 private:
  // Each is warned of once; a disk that fails in several ways is one trouble.
  enum Trouble { kBundleClosed, kDamage, kDisk };
  struct Layer {
    std::string directory;
    Origin origin = Origin::kBundle;
    Bundle opened;       // of the local directory too, which has no manifest
    std::string reason;  // why it is not open
    std::chrono::steady_clock::time_point tried{};
  };

  Bundle open(Layer& layer, std::string* reason);
  void open_bundle_now(Layer& layer);
  void open_local_now(Layer& layer);
  void say_network(const Layer& layer);
  std::optional<Acquired> accept(const KernelId& id, Lookup lookup, Origin origin,
                                 const std::string& place, std::string* reason);
  std::optional<Acquired> find_stored(const KernelId& id, const CacheKey& key, std::string* reason);
  void publish_to_disk(const Entry& entry);
  Result<std::optional<Acquired>> get(const KernelId& id, const CacheKey& key, const Bundle& bundle,
                                      Origin origin, std::string* reason);
  void report(Trouble trouble, const std::string& message);
  Bundle local();  // the local directory; empty if there is none

  const StoreOptions& options_;
  Counters& counters_;
  std::mutex mutex_;  // guards the fields of each Layer
  std::vector<Layer> layers_;
  std::atomic<unsigned> reported_{0};
  std::atomic<unsigned> published_{0};
};

}  // namespace rmsjit

#endif  // RMSJIT_CACHE_LAYERS_H_
