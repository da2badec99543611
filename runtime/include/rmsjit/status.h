// SPDX-License-Identifier: Apache-2.0
// Status and Result<T>: how every rmsjit function reports failure. No exceptions, no allocation on
// the OK path. Immutable after construction, so copies may be read from any thread.
#ifndef RMSJIT_STATUS_H_
#define RMSJIT_STATUS_H_

#include <memory>
#include <new>
#include <string>
#include <utility>

namespace rmsjit {

// The numbers are part of the C ABI (rmsjit_c.h): never renumber, only append.
enum class StatusCode : int {
  kOk = 0,
  kInvalidArgument = 1,      // a spec, argument or option that no environment would accept
  kUnsupported = 2,          // valid, but not on this GPU, driver or compiler
  kNotPrepared = 3,          // an unprepared key during capture, or after seal()
  kJitDisabled = 4,          // a true miss while compiling is off
  kCompileFailed = 5,        // NVRTC refused the source; the message holds the whole log
  kCompilerUnavailable = 6,  // no NVRTC found; the message lists every place searched
  kWorkerFailed = 7,         // the compile worker crashed, was killed or ran past its deadline
  kDriver = 8,               // a CUDA driver call failed; the message names call and CUresult
  kDriverUnavailable = 9,    // no libcuda, or no device
  kWrongDevice = 10,         // the stream belongs to another device than the kernel
  kWrongContext = 11,        // the stream belongs to another context than the kernel
  kDamaged = 12,             // bytes that fail the entry's checks
  kUntrusted = 13,           // a directory or file that others could have written
  kNotFound = 14,            // no such entry, file or family
  kIo = 15,                  // a system call failed; the message names path and errno
  kTimeout = 16,             // a deadline given by the caller has passed
  kTooManyKeys = 17,         // the process-wide cap on distinct keys is reached
  kClosed = 18,              // the runtime was closed
  kInternal = 19,            // a bug in rmsjit
};

inline const char* status_code_name(StatusCode code) {
  constexpr const char* kNames[] = {
      "ok",           "invalid_argument", "unsupported",  "not_prepared",
      "jit_disabled", "compile_failed",   "no_compiler",  "worker_failed",
      "driver",       "no_driver",        "wrong_device", "wrong_context",
      "damaged",      "untrusted",        "not_found",    "io",
      "timeout",      "too_many_keys",    "closed",       "internal"};
  const int i = static_cast<int>(code);
  return i >= 0 && i < static_cast<int>(sizeof kNames / sizeof kNames[0]) ? kNames[i] : "unknown";
}

// OK, or a code with a sentence that says what, given, allowed and what to do.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(StatusCode code, std::string message)
      : error_(code == StatusCode::kOk ? nullptr
                                       : std::make_shared<const Error>(code, std::move(message))) {}

  bool ok() const { return error_ == nullptr; }
  StatusCode code() const { return ok() ? StatusCode::kOk : error_->code; }
  const std::string& message() const {
    static const std::string kEmpty;
    return ok() ? kEmpty : error_->message;
  }

 private:
  struct Error {
    Error(StatusCode c, std::string m) : code(c), message(std::move(m)) {}
    StatusCode code;
    std::string message;
  };
  std::shared_ptr<const Error> error_;
};

// A value or a Status that is not OK. value() requires ok().
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : has_value_(true) { new (&value_) T(std::move(value)); }
  Result(Status status)
      : status_(status.ok() ? Status(StatusCode::kInternal, "Result built from an OK status")
                            : std::move(status)) {}
  Result(Result&& other) noexcept : status_(std::move(other.status_)) { take(other); }
  Result& operator=(Result&& other) noexcept {
    if (this == &other) return *this;
    reset();
    status_ = std::move(other.status_);
    take(other);
    return *this;
  }
  Result(const Result&) = delete;
  Result& operator=(const Result&) = delete;
  ~Result() { reset(); }

  bool ok() const { return has_value_; }
  const Status& status() const { return status_; }
  StatusCode code() const { return status_.code(); }
  const std::string& message() const { return status_.message(); }
  T& value() & { return value_; }
  const T& value() const& { return value_; }
  T&& value() && { return std::move(value_); }
  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }

 private:
  void take(Result& other) {
    if (other.has_value_) {
      new (&value_) T(std::move(other.value_));
      has_value_ = true;
    }
  }
  void reset() {
    if (has_value_) value_.~T();
    has_value_ = false;
  }

  Status status_;
  bool has_value_ = false;
  union {
    T value_;
  };
};

}  // namespace rmsjit

#define RMSJIT_RETURN_IF_ERROR(expression)           \
  do {                                               \
    ::rmsjit::Status rmsjit_status_ = (expression);  \
    if (!rmsjit_status_.ok()) return rmsjit_status_; \
  } while (false)

#define RMSJIT_CONCAT_INNER_(a, b) a##b
#define RMSJIT_CONCAT_(a, b) RMSJIT_CONCAT_INNER_(a, b)
// RMSJIT_ASSIGN_OR_RETURN(auto entry, decode_entry(bytes));
#define RMSJIT_ASSIGN_OR_RETURN(target, expression)             \
  auto RMSJIT_CONCAT_(rmsjit_result_, __LINE__) = (expression); \
  if (!RMSJIT_CONCAT_(rmsjit_result_, __LINE__).ok())           \
    return RMSJIT_CONCAT_(rmsjit_result_, __LINE__).status();   \
  target = std::move(RMSJIT_CONCAT_(rmsjit_result_, __LINE__)).value()

#endif  // RMSJIT_STATUS_H_
