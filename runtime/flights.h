// SPDX-License-Identifier: Apache-2.0
// Flights: what this process knows of its keys. One thread works on a key while the others wait for
// its answer; compiled images and failures are remembered. Thread-safe; keys do not wait for each
// other.
#ifndef RMSJIT_FLIGHTS_H_
#define RMSJIT_FLIGHTS_H_

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "rmsjit/status.h"
#include "runtime/kernel_store.h"

namespace rmsjit {

class Flights {
 public:
  // What the caller of join() is to do.
  enum class Role {
    kDone,   // `answer` is there
    kWait,   // somebody works on it: call wait()
    kWorks,  // nobody does: work, then call land(), whatever came out
  };
  struct Flight;
  struct Ticket {
    Role role = Role::kDone;
    std::optional<Acquired> compiled;  // kDone: remembered here, or else
    Status failure;                    // ... the failure
    std::shared_ptr<Flight> flight;
  };

  explicit Flights(int retry_ms) : retry_ms_(retry_ms) {}

  Ticket join(const std::string& name);
  Result<Acquired> wait(const Ticket& ticket);
  // Lets the waiters go on. A compiled image is remembered, a failure that the same source will
  // always have too, and any other failure for retry_ms.
  void land(const std::string& name, const Ticket& ticket, const Result<Acquired>& result);
  void remember(const std::string& name, const Acquired& compiled);

 private:
  struct Failure {
    Status status;
    std::chrono::steady_clock::time_point until;
  };

  const int retry_ms_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Flight>> flights_;
  std::map<std::string, Failure> failures_;
  std::map<std::string, Acquired> compiled_;  // this process's own bytes are never read back
};

}  // namespace rmsjit

#endif  // RMSJIT_FLIGHTS_H_
