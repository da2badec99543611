// SPDX-License-Identifier: Apache-2.0
// KernelId: what is compiled, and the cache key it has. The key holds no NVRTC version, path,
// driver, host or time: a bundle built in CI hits on a node with another NVRTC, or with none.
#ifndef RMSJIT_KERNEL_KEY_H_
#define RMSJIT_KERNEL_KEY_H_

#include <string>
#include <string_view>

#include "cache/cache_key.h"
#include "rmsjit/spec.h"
#include "rmsjit/status.h"
#include "rmsjit/target.h"
#include "templates/render_spec.h"

namespace rmsjit {

struct KernelId {
  NormSpec spec;  // canonical for target
  Target target;
  Tuning tuning;

  // resolve() and launch_plan(). Errors: those of resolve().
  static Result<KernelId> make(const NormSpec& spec, const Target& target);

  // Fields: schema, template, spec.cuh, target, image ("cubin-13"), options, params.
  // cuda_major is that of the NVRTC that makes the image, or of the one a driver can load.
  CacheKey cache_key(int cuda_major) const;
};

// SHA-256 over every embedded file of the template, 64 hex digits.
std::string_view template_digest();

// The canonical options, which the key holds whatever an older NVRTC leaves out.
std::string canonical_options(const Target& target);

}  // namespace rmsjit

#endif  // RMSJIT_KERNEL_KEY_H_
