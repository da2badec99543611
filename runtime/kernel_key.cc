// SPDX-License-Identifier: Apache-2.0
// The fields of a key. A new field needs a new kKeySchema: entries of the old schema become misses.
#include "runtime/kernel_key.h"

#include <utility>

#include "rmsjit/spec_text.h"
#include "runtime/launch_plan.h"
#include "templates/embedded_templates.h"
#include "templates/rmsnorm_params.h"

namespace rmsjit {
namespace {

constexpr int kKeySchema = 1;

// Trivially destructible: keys may still be asked for while other threads outlive main, and an
// unloaded library leaves no memory behind.
struct HexDigest {
  char digits[64];
};

HexDigest hash_templates() {
  CacheKey files;
  for (const EmbeddedFile& file : embedded_templates()) files.add(file.name, file.text);
  HexDigest digest;
  files.digest().hex().copy(digest.digits, sizeof digest.digits);
  return digest;
}

}  // namespace

Result<KernelId> KernelId::make(const NormSpec& spec, const Target& target) {
  KernelId id;
  RMSJIT_ASSIGN_OR_RETURN(id.spec, resolve(spec, target));
  id.target = target;
  id.tuning = launch_plan(id.spec, target);
  return id;
}

CacheKey KernelId::cache_key(int cuda_major) const {
  CacheKey key;
  key.add("schema", std::to_string(kKeySchema));
  key.add("template", template_digest());
  key.add("spec.cuh", render_spec(spec, tuning, target));
  key.add("target", target.name());
  key.add("image", (target.ptx ? "ptx-" : "cubin-") + std::to_string(cuda_major));
  key.add("options", canonical_options(target));
  key.add("params", std::to_string(kParamsAbi));
  return key;
}

std::string_view template_digest() {
  static const HexDigest kDigest = hash_templates();
  return {kDigest.digits, sizeof kDigest.digits};
}

}  // namespace rmsjit
