// SPDX-License-Identifier: Apache-2.0
// Launches of a runtime on the stub driver.
#ifndef RMSJIT_TESTS_LAUNCH_FIXTURE_H_
#define RMSJIT_TESTS_LAUNCH_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>

#include "tests/runtime/runtime_fixture.h"

namespace rmsjit {

class LaunchTest : public RuntimeTest {
 protected:
  CUstream stream_on(const LoadedKernel& kernel) {
    return stub_.make_stream(kernel.where().context);
  }
  Status launch(const std::string& spec, const rmsjit_args& args, CUstream stream, int device = 0) {
    return runtime_->launch(to_c(spec_of(spec)), device, args, stream);
  }
  const stub::Launch& last() { return stub_.driver->last; }
};

inline void expect(const Status& status, StatusCode code, const std::string& part) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_NE(status.message().find(part), std::string::npos) << status.message();
}

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_LAUNCH_FIXTURE_H_
