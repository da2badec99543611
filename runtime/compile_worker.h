// SPDX-License-Identifier: Apache-2.0
// CompileWorker: one worker process and the socket to it. The process is in a group of its own,
// with default signals and no descriptor of the host; it ends with this object, with the host, or
// past its deadline. For one thread at a time.
#ifndef RMSJIT_COMPILE_WORKER_H_
#define RMSJIT_COMPILE_WORKER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "rmsjit/status.h"
#include "runtime/compile_job.h"
#include "runtime/compiler.h"
#include "runtime/nvrtc_search.h"
#include "runtime/worker_protocol.h"

namespace rmsjit {

class CompileWorker {
 public:
  // Starts the executable at `path` and lets it open NVRTC.
  // Errors: kWorkerFailed when it cannot be started, kCompilerUnavailable when it finds no NVRTC.
  static Result<std::unique_ptr<CompileWorker>> start(const std::string& path,
                                                      const NvrtcSearch& search);
  ~CompileWorker();  // ends the process and waits for it
  CompileWorker(const CompileWorker&) = delete;
  CompileWorker& operator=(const CompileWorker&) = delete;

  const CompilerIdentity& identity() const { return identity_; }
  pid_t process() const { return process_; }

  // Errors: those of NvrtcLibrary::compile; kWorkerFailed, after which the worker is spent.
  Result<CompiledImage> compile(const CompileJob& job, int timeout_ms);
  // False once it failed, or when the idle process has ended or said something unasked.
  bool usable() const;

 private:
  CompileWorker(std::string path, pid_t process, int socket)
      : path_(std::move(path)), process_(process), socket_(socket) {}
  Result<Message> ask(const Message& question, int timeout_ms);
  Status fail(Transfer transfer, int timeout_ms);
  // Ends the process if it still lives; says how it ended.
  std::string end();

  const std::string path_;
  pid_t process_ = -1;  // -1 once it was waited for
  int socket_ = -1;
  CompilerIdentity identity_;
};

}  // namespace rmsjit

#endif  // RMSJIT_COMPILE_WORKER_H_
