// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_store.h"

#include <fmt/format.h>
#include <unistd.h>

#include "rmsjit/spec_text.h"
#include "rmsjit/version.h"
#include "runtime/cache_layers.h"
#include "runtime/errors.h"
#include "runtime/flights.h"
#include "runtime/journal.h"
#include "runtime/signature_policy.h"

namespace rmsjit {
const char* origin_name(Origin origin) {
  switch (origin) {
    case Origin::kCompiled:
      return "compiled";
    case Origin::kCache:
      return "cache";
    case Origin::kBundle:
      return "bundle";
  }
  return "unknown";
}

// Everything behind a lock. A forked child gets a new one, because a lock of the parent's may have
// been held by a thread that the child does not have.
struct KernelStore::State {
  State(const StoreOptions& options, Counters& counters)
      : process(getpid()),
        layers(options, counters),
        flights(options.retry_ms),
        journal(options.journal) {}

  const pid_t process;
  CacheLayers layers;
  Flights flights;
  MissJournal journal;
};

KernelStore::KernelStore(StoreOptions options, std::unique_ptr<Compiler> compiler)
    : options_(only_signed(std::move(options))),
      compiler_(std::move(compiler)),
      state_(new State(options_, counters_)) {}

KernelStore::~KernelStore() { delete state_.load(); }

KernelStore::State& KernelStore::state() {
  State* current = state_.load(std::memory_order_acquire);
  if (current->process == getpid()) return *current;
  auto fresh = std::make_unique<State>(options_, counters_);
  // The parent's State is left alone: destroying it could wait for its locks.
  if (state_.compare_exchange_strong(current, fresh.get())) return *fresh.release();
  return *current;
}

void KernelStore::log(LogLevel level, const std::string& message) const {
  if (options_.log) options_.log(level, message);
}

std::vector<int> KernelStore::majors(const std::vector<int>& loadable_majors) {
  if (!loadable_majors.empty()) return loadable_majors;
  if (compiler_) {
    const Result<CompilerIdentity> identity = compiler_->identity();
    if (identity.ok()) return {identity->major};
  }
  return {13, 12};
}

Result<Acquired> KernelStore::acquire(const KernelId& id, const std::vector<int>& loadable_majors) {
  const std::vector<int> wanted = majors(loadable_majors);
  const std::string name = id.cache_key(wanted.front()).digest().hex();
  State& state = this->state();
  Flights::Ticket ticket = state.flights.join(name);
  switch (ticket.role) {
    case Flights::Role::kDone:
      if (!ticket.compiled) return ticket.failure;
      counters_.memory_hits.fetch_add(1, std::memory_order_relaxed);
      return std::move(*ticket.compiled);
    case Flights::Role::kWait: {
      counters_.waits.fetch_add(1, std::memory_order_relaxed);
      const TraceRange range(options_.trace, "wait", id.spec);
      return state.flights.wait(ticket);
    }
    case Flights::Role::kWorks:
      break;
  }
  Result<Acquired> result = acquire_alone(state, id, wanted);
  state.flights.land(name, ticket, result);
  return result;
}

Result<std::optional<Acquired>> KernelStore::find(const KernelId& id,
                                                  const std::vector<int>& loadable_majors) {
  return state().layers.find(id, majors(loadable_majors), nullptr);
}

Result<Acquired> KernelStore::compile_in_memory(const KernelId& id,
                                                const std::vector<int>& loadable_majors,
                                                const std::string& reason) {
  State& state = this->state();
  const std::vector<int> wanted = majors(loadable_majors);
  if (options_.jit == JitMode::kOff || !compiler_) {
    return errors::jit_disabled(id, id.cache_key(wanted.front()).digest().hex(),
                                {{"the entry found", reason}}, "");
  }
  Result<Acquired> result = compile(state, id, wanted, reason, Publish::kNo);
  if (result.ok()) {
    state.flights.remember(id.cache_key(wanted.front()).digest().hex(), *result);
  }
  return result;
}

Result<Acquired> KernelStore::acquire_alone(State& state, const KernelId& id,
                                            const std::vector<int>& majors) {
  std::vector<errors::Place> searched;
  if (!options_.refresh) {
    const TraceRange range(options_.trace, "read", id.spec);
    RMSJIT_ASSIGN_OR_RETURN(std::optional<Acquired> found,
                            state.layers.find(id, majors, &searched));
    if (found) return std::move(*found);
  }
  if (!state.journal.add(spec_text(id.spec))) {
    counters_.write_failures.fetch_add(1, std::memory_order_relaxed);
  }
  if (options_.jit == JitMode::kOff || !compiler_) {
    return errors::jit_disabled(id, id.cache_key(majors.front()).digest().hex(), searched,
                                state.layers.nearest(id));
  }
  const std::string reason =
      options_.refresh ? "refresh was asked for" : "searched " + errors::list_places(searched);
  return compile(state, id, majors, reason, Publish::kYes);
}

Result<Acquired> KernelStore::compile(State& state, const KernelId& id,
                                      const std::vector<int>& majors, const std::string& reason,
                                      Publish publish) {
  RMSJIT_ASSIGN_OR_RETURN(const CompilerIdentity identity, compiler_->identity());
  if (identity.major > majors.front()) {
    return errors::compiler_too_new(fmt::format("{}.{}", identity.major, identity.minor),
                                    majors.front());
  }
  const CacheKey key = id.cache_key(identity.major);
  if (publish == Publish::kNo) return run_compiler(id, key, reason);
  const KeyLock lock = [&] {
    const TraceRange range(options_.trace, "wait", id.spec);
    return state.layers.lock(key);
  }();
  if (lock.waited()) counters_.waits.fetch_add(1, std::memory_order_relaxed);
  if (!options_.refresh) {
    // Another process may have published the key since the search.
    std::optional<Acquired> found = state.layers.find_local(id, key);
    if (found) return std::move(*found);
  }
  RMSJIT_ASSIGN_OR_RETURN(Acquired acquired, run_compiler(id, key, reason));
  state.layers.publish(acquired.entry);
  return acquired;
}

Result<Acquired> KernelStore::run_compiler(const KernelId& id, const CacheKey& key,
                                           const std::string& reason) {
  const CompileRequest request = make_compile_request(id);
  Result<CompiledImage> compiled = [&] {
    const TraceRange range(options_.trace, "compile", id.spec);
    return compiler_->compile(request);
  }();
  const std::string what =
      fmt::format("spec \"{}\" for target {}", spec_text(id.spec), id.target.name());
  if (!compiled.ok()) {
    counters_.compile_failures.fetch_add(1, std::memory_order_relaxed);
    log(LogLevel::kInfo, fmt::format("did not compile {}: {}", what, compiled.message()));
    return compiled.status();
  }
  counters_.compiles.fetch_add(1, std::memory_order_relaxed);
  CompiledImage& image = *compiled;
  Acquired acquired;
  acquired.compile_ms = image.compile_ms;
  acquired.entry.target = id.target.name();
  acquired.entry.image = std::move(image.image);
  acquired.entry.metadata = {.key_text = key.text(),
                             .spec_text = spec_text(id.spec),
                             .tuning_text = tuning_text(id.tuning),
                             .options = canonical_options(id.target),
                             .nvrtc_version = std::move(image.nvrtc_version),
                             .nvrtc_build = std::move(image.nvrtc_build),
                             .library_version = RMSJIT_VERSION,
                             .template_digest = std::string(template_digest()),
                             .registers = image.registers,
                             .spill_bytes = image.spill_bytes,
                             .stack_bytes = image.stack_bytes,
                             .shared_bytes = image.shared_bytes};
  log(options_.jit == JitMode::kWarn ? LogLevel::kWarning : LogLevel::kInfo,
      fmt::format("compiled {} in {:.0f} ms: {}", what, acquired.compile_ms, reason));
  if (options_.on_compile) options_.on_compile(id, reason, acquired.compile_ms);
  return acquired;
}

}  // namespace rmsjit
