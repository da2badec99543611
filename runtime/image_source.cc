// SPDX-License-Identifier: Apache-2.0
#include "runtime/image_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace rmsjit {
namespace {

bool knows(const CompilerIdentity& compiler, int sm) {
  const std::vector<int>& list = compiler.supported_sm;
  return std::find(list.begin(), list.end(), sm) != list.end();
}

// No compile is possible now, for a reason that is not the spec's.
bool cannot_compile(StatusCode code) {
  return code == StatusCode::kJitDisabled || code == StatusCode::kCompilerUnavailable ||
         code == StatusCode::kWorkerFailed || code == StatusCode::kTimeout;
}

}  // namespace

void ImageSource::say_once(Notice notice, const std::string& message) {
  const unsigned bit = 1u << notice;
  if ((said_.fetch_or(bit) & bit) == 0) store_.log(LogLevel::kWarning, message);
}

Result<ServedImage> ImageSource::get(const NormSpec& spec, int sm, const std::vector<int>& majors) {
  RMSJIT_ASSIGN_OR_RETURN(KernelId id, KernelId::make(spec, Target{sm, false}));
  Result<Acquired> exact = store_.acquire(id, majors);
  if (exact.ok()) return ServedImage{std::move(id), std::move(*exact)};
  if (exact.code() == StatusCode::kUnsupported && store_.compiler() != nullptr) {
    const Result<CompilerIdentity> compiler = store_.compiler()->identity();
    if (compiler.ok() && !knows(*compiler, sm)) {
      Result<ServedImage> ptx = compile_ptx(spec, sm, majors);
      if (ptx.ok()) return ptx;
    }
  }
  if (cannot_compile(exact.code())) {
    RMSJIT_ASSIGN_OR_RETURN(std::optional<ServedImage> lower, find_lower(spec, sm, majors));
    if (lower) return std::move(*lower);
  }
  return exact.status();
}

Result<ServedImage> ImageSource::compile_ptx(const NormSpec& spec, int sm,
                                             const std::vector<int>& majors) {
  RMSJIT_ASSIGN_OR_RETURN(const CompilerIdentity compiler, store_.compiler()->identity());
  int highest = 0;
  for (const int known : compiler.supported_sm) {
    if (known <= sm) highest = std::max(highest, known);
  }
  RMSJIT_ASSIGN_OR_RETURN(KernelId id, KernelId::make(spec, Target{highest, true}));
  RMSJIT_ASSIGN_OR_RETURN(Acquired acquired, store_.acquire(id, majors));
  say_once(kNewerThanCompiler,
           fmt::format("sm_{} is newer than NVRTC {}.{} knows: kernels are compiled to PTX for {}, "
                       "which the driver finishes at load",
                       sm, compiler.major, compiler.minor, id.target.name()));
  return ServedImage{std::move(id), std::move(acquired)};
}

Result<std::optional<ServedImage>> ImageSource::find_lower(const NormSpec& spec, int sm,
                                                           const std::vector<int>& majors) {
  std::vector<Target> targets;
  for (auto known = std::rbegin(kKnownSm); known != std::rend(kKnownSm); ++known) {
    if (*known < sm && *known / 10 == sm / 10) targets.push_back({*known, false});
  }
  for (auto known = std::rbegin(kKnownSm); known != std::rend(kKnownSm); ++known) {
    if (*known <= sm) targets.push_back({*known, true});
  }
  for (const Target& target : targets) {
    Result<KernelId> id = KernelId::make(spec, target);
    if (!id.ok()) continue;
    RMSJIT_ASSIGN_OR_RETURN(std::optional<Acquired> found, store_.find(*id, majors));
    if (!found) continue;
    say_once(kLowerTarget, fmt::format("no image for sm_{} and none can be compiled: images for {} "
                                       "serve instead",
                                       sm, target.name()));
    return std::optional(ServedImage{std::move(*id), std::move(*found)});
  }
  return std::optional<ServedImage>();
}

Result<ServedImage> ImageSource::replace(const ServedImage& refused, const std::vector<int>& majors,
                                         const std::string& reason) {
  store_.counters().refused.fetch_add(1, std::memory_order_relaxed);
  say_once(kRefused,
           fmt::format("the driver did not load an intact {} image from the {}: {}",
                       refused.id.target.name(), origin_name(refused.acquired.origin), reason));
  RMSJIT_ASSIGN_OR_RETURN(Acquired acquired, store_.compile_in_memory(refused.id, majors, reason));
  return ServedImage{refused.id, std::move(acquired)};
}

}  // namespace rmsjit
