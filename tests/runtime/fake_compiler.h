// SPDX-License-Identifier: Apache-2.0
// FakeCompiler: a Compiler that makes an image from the request's text and counts its calls.
#ifndef RMSJIT_TESTS_RUNTIME_FAKE_COMPILER_H_
#define RMSJIT_TESTS_RUNTIME_FAKE_COMPILER_H_

#include <atomic>
#include <functional>
#include <string>
#include <utility>

#include "runtime/compiler.h"

namespace rmsjit {

// What a fake compile made, whatever its target.
std::string fake_image(const CompileRequest& request);

class FakeCompiler : public Compiler {
 public:
  struct Log {
    std::atomic<int> compiles{0};
    std::atomic<int> identities{0};
  };
  using Hook = std::function<Status(const CompileRequest&)>;  // a failure, or OK to go on

  explicit FakeCompiler(Log& log, Hook hook = {}) : log_(log), hook_(std::move(hook)) {}
  CompilerIdentity who{13, 0, "fake", {80, 86, 90}};
  Status unavailable;

  Result<CompilerIdentity> identity() override {
    ++log_.identities;
    if (!unavailable.ok()) return unavailable;
    return CompilerIdentity(who);
  }
  Result<CompiledImage> compile(const CompileRequest& request) override {
    ++log_.compiles;
    if (hook_) RMSJIT_RETURN_IF_ERROR(hook_(request));
    CompiledImage image;
    image.image = fake_image(request);
    image.nvrtc_version = "13.0";
    image.registers = 32;
    image.shared_bytes = 512;
    image.compile_ms = 1.5;
    return image;
  }

 private:
  Log& log_;
  Hook hook_;
};

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_RUNTIME_FAKE_COMPILER_H_
