// SPDX-License-Identifier: Apache-2.0
#include "runtime/compiler_errors.h"

#include <fmt/format.h>

#include <cstring>

namespace rmsjit {
namespace {

std::string list_places(const std::vector<TriedPlace>& tried) {
  std::string text;
  for (const TriedPlace& place : tried) text += "\n  " + place.path + ": " + place.reason;
  return text;
}

std::string heading(const CompileJob& job, const CompilerIdentity& nvrtc) {
  return fmt::format("kernel {} for {} with NVRTC {}.{} ({})", job.kernel, job.target_name,
                     nvrtc.major, nvrtc.minor, nvrtc.path);
}

}  // namespace

std::string errno_text(int error) {
  char buffer[128];
  return strerror_r(error, buffer, sizeof buffer);  // glibc's form: returns the text
}

Status cubin_damaged(std::string_view what, uint64_t value) {
  return Status(StatusCode::kDamaged, fmt::format("the cubin is damaged: {} {}", what, value));
}

Status image_mismatch(const std::string& target, const std::string& found) {
  return Status(StatusCode::kDamaged, fmt::format("the image is not for {}: {}", target, found));
}

Status no_nvrtc(const std::vector<TriedPlace>& tried) {
  return Status(StatusCode::kCompilerUnavailable,
                "no NVRTC from 12.4 to 13.x was found: install the CUDA Toolkit or the wheel "
                "nvidia-cuda-nvrtc, or set RMSJIT_NVRTC to libnvrtc; tried" +
                    list_places(tried));
}

std::string nvrtc_version_refused(int major, int minor) {
  return fmt::format("is NVRTC {}.{}, but 12.4 to 13.x is needed", major, minor);
}

Status target_unsupported(const CompileJob& job, const CompilerIdentity& nvrtc) {
  std::string known;
  for (int sm : nvrtc.supported_sm) known += fmt::format("{}{}", known.empty() ? "" : ", ", sm);
  return Status(StatusCode::kUnsupported,
                fmt::format("target={} is not known to NVRTC {}.{} ({}): it compiles for {} as "
                            "sm_XX or compute_XX; use one of them or a newer NVRTC",
                            job.target_name, nvrtc.major, nvrtc.minor, nvrtc.path, known));
}

Status compile_failed(const CompileJob& job, const CompilerIdentity& nvrtc,
                      const std::string& reason, const std::string& log) {
  return Status(StatusCode::kCompileFailed,
                fmt::format("{} does not compile: {}\n{}", heading(job, nvrtc), reason, log));
}

Status nvrtc_broken(const CompileJob& job, const CompilerIdentity& nvrtc, const std::string& reason,
                    const std::string& log) {
  return Status(StatusCode::kCompilerUnavailable,
                fmt::format("{} could not be compiled: {}\n{}", heading(job, nvrtc), reason, log));
}

Status no_compile_thread(int error) {
  return Status(StatusCode::kCompilerUnavailable,
                fmt::format("no thread with an 8 MiB stack could be started for a compile: {}",
                            errno_text(error)));
}

Status signals_unshielded(const std::string& path, const std::string& why) {
  return Status(StatusCode::kCompilerUnavailable,
                fmt::format("{} would replace this process's signal handlers and cannot be kept "
                            "from it ({}): make the compile worker available",
                            path, why));
}

Status worker_cannot_start(const std::string& reason) {
  return Status(StatusCode::kWorkerFailed, reason);
}

Status worker_not_started(const std::vector<TriedPlace>& tried) {
  return Status(StatusCode::kWorkerFailed,
                "no compile worker could be started: set RMSJIT_WORKER "
                "to rmsjit-worker; tried" +
                    list_places(tried));
}

Status worker_ended(const std::string& path, int pid, const std::string& how) {
  return Status(StatusCode::kWorkerFailed,
                fmt::format("the compile worker {} (process {}) {}; the next compile starts a new "
                            "one",
                            path, pid, how));
}

Status worker_timed_out(const std::string& path, int pid, int timeout_ms) {
  return Status(StatusCode::kWorkerFailed,
                fmt::format("the compile worker {} (process {}) ran past its deadline of {} ms and "
                            "was killed",
                            path, pid, timeout_ms));
}

Status worker_bad_reply(const std::string& path, int pid, const std::string& what) {
  return Status(StatusCode::kWorkerFailed,
                fmt::format("the compile worker {} (process {}) sent something else than a reply: "
                            "{}",
                            path, pid, what));
}

Status bad_message(std::string_view what, uint64_t value) {
  return Status(StatusCode::kWorkerFailed, fmt::format("bad worker message: {} {}", what, value));
}

std::string compiles_stay_inside(const std::string& reason) {
  return "kernels are compiled inside this process, not in a worker: " + reason;
}

}  // namespace rmsjit
