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

std::string hash_templates() {
  CacheKey files;
  for (const EmbeddedFile& file : embedded_templates()) files.add(file.name, file.text);
  return files.digest().hex();
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

const std::string& template_digest() {
  // Never destroyed: keys may still be asked for while other threads outlive main.
  static const std::string& digest = *new std::string(hash_templates());
  return digest;
}

}  // namespace rmsjit
