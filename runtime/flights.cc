// SPDX-License-Identifier: Apache-2.0
#include "runtime/flights.h"

namespace rmsjit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kMostFailures = 4096;  // remembered at once; more only cost time, not correctness

// What the same source, compiler and target will always answer.
bool is_deterministic(StatusCode code) {
  return code == StatusCode::kCompileFailed || code == StatusCode::kUnsupported;
}

}  // namespace

struct Flights::Flight {
  std::mutex mutex;
  std::condition_variable landed;
  bool done = false;
  Status failure;
  Acquired acquired;
};

Flights::Ticket Flights::join(const std::string& name) {
  const std::lock_guard lock(mutex_);
  if (const auto it = compiled_.find(name); it != compiled_.end()) {
    return {Role::kDone, it->second, {}, nullptr};
  }
  if (const auto it = failures_.find(name); it != failures_.end()) {
    if (Clock::now() < it->second.until) return {Role::kDone, {}, it->second.status, nullptr};
    failures_.erase(it);
  }
  std::shared_ptr<Flight>& flight = flights_[name];
  if (flight) return {Role::kWait, {}, {}, flight};
  flight = std::make_shared<Flight>();
  return {Role::kWorks, {}, {}, flight};
}

Result<Acquired> Flights::wait(const Ticket& ticket) {
  Flight& flight = *ticket.flight;
  std::unique_lock lock(flight.mutex);
  flight.landed.wait(lock, [&] { return flight.done; });
  if (!flight.failure.ok()) return flight.failure;
  return Acquired(flight.acquired);
}

void Flights::remember(const std::string& name, const Acquired& compiled) {
  const std::lock_guard lock(mutex_);
  compiled_.insert_or_assign(name, compiled);
}

void Flights::land(const std::string& name, const Ticket& ticket, const Result<Acquired>& result) {
  {
    const std::lock_guard lock(mutex_);
    if (result.ok() && result->origin == Origin::kCompiled) {
      compiled_.insert_or_assign(name, *result);
    } else if (!result.ok() && failures_.size() < kMostFailures) {
      const Clock::time_point until = is_deterministic(result.code())
                                          ? Clock::time_point::max()
                                          : Clock::now() + std::chrono::milliseconds(retry_ms_);
      failures_.insert_or_assign(name, Failure{result.status(), until});
    }
    flights_.erase(name);
  }
  Flight& flight = *ticket.flight;
  const std::lock_guard lock(flight.mutex);
  flight.failure = result.status();
  if (result.ok()) flight.acquired = *result;
  flight.done = true;
  flight.landed.notify_all();
}

}  // namespace rmsjit
