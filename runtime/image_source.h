// SPDX-License-Identifier: Apache-2.0
// Which image serves a spec on a device: the exact target, or, where that cannot be had, PTX or a
// lower minor of the same major. Each fallback is said once. Thread-safe.
#ifndef RMSJIT_IMAGE_SOURCE_H_
#define RMSJIT_IMAGE_SOURCE_H_

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "runtime/kernel_store.h"

namespace rmsjit {

struct ServedImage {
  KernelId id;  // of the image, whose target may be lower than the device's
  Acquired acquired;
};

class ImageSource {
 public:
  explicit ImageSource(KernelStore& store) : store_(store) {}

  // Errors: those of KernelStore::acquire for the exact target.
  Result<ServedImage> get(const NormSpec& spec, int sm, const std::vector<int>& majors);
  // The driver refused an intact image: compiles another in memory.
  Result<ServedImage> replace(const ServedImage& refused, const std::vector<int>& majors,
                              const std::string& reason);

 private:
  enum Notice { kNewerThanCompiler, kLowerTarget, kRefused };
  Result<ServedImage> compile_ptx(const NormSpec& spec, int sm, const std::vector<int>& majors);
  Result<std::optional<ServedImage>> find_lower(const NormSpec& spec, int sm,
                                                const std::vector<int>& majors);
  void say_once(Notice notice, const std::string& message);

  KernelStore& store_;
  std::atomic<unsigned> said_{0};
};

}  // namespace rmsjit

#endif  // RMSJIT_IMAGE_SOURCE_H_
