// SPDX-License-Identifier: Apache-2.0
// What the tests with a real NVRTC share: the compiler (RMSJIT_NVRTC, else wherever one is found),
// spec texts to requests, and many compiles side by side.
#ifndef RMSJIT_TESTS_NVRTC_FIXTURE_H_
#define RMSJIT_TESTS_NVRTC_FIXTURE_H_

#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "rmsjit/spec.h"
#include "rmsjit/target.h"
#include "runtime/compiler.h"
#include "runtime/kernel_key.h"
#include "templates/render_spec.h"

namespace rmsjit {

CompilerOptions real_options();

// Fails the test when text or target is not valid.
KernelId kernel_id(const std::string& spec_text, const std::string& target_name);
CompileRequest request_for(const std::string& spec_text, const std::string& target_name);

// Compiles each in workers, as many at once as there are cores, and hands each image to `check` one
// at a time. A compile that fails is a test failure that names it.
void compile_each(const std::vector<KernelId>& ids,
                  const std::function<void(const KernelId&, const CompiledImage&)>& check);

// What every image of a shipped plan has to be: no local memory, as many registers as the smaller
// of its schedules' largest blocks may have, a cubin for the target.
void expect_shippable(const KernelId& id, const CompiledImage& image);

inline const char* const kTargets[] = {"sm_80", "sm_90", "sm_100", "sm_120"};

class NvrtcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto identity = make_inprocess_compiler(real_options())->identity();
    if (!identity.ok()) GTEST_SKIP() << identity.message();
    identity_ = *identity;
  }
  bool knows(const Target& target) const {
    for (const int sm : identity_.supported_sm) {
      if (sm == target.sm) return true;
    }
    return false;
  }
  CompilerIdentity identity_;
};

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_NVRTC_FIXTURE_H_
