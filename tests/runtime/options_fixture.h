// SPDX-License-Identifier: Apache-2.0
// Options of a caller resolved against variables that the test sets.
#ifndef RMSJIT_TESTS_OPTIONS_FIXTURE_H_
#define RMSJIT_TESTS_OPTIONS_FIXTURE_H_

#include <gtest/gtest.h>

#include <map>
#include <string>

#include "runtime/options.h"

namespace rmsjit {

class OptionsTest : public ::testing::Test {
 protected:
  static inline std::map<std::string, std::string> variables;
  static const char* lookup(const char* name) {
    const auto it = variables.find(name);
    return it == variables.end() ? nullptr : it->second.c_str();
  }
  OptionsTest() {
    variables.clear();
    given_.struct_size = sizeof given_;
  }
  RuntimeOptions resolved() {
    const Result<RuntimeOptions> options = resolve_options(given_, lookup);
    if (!options.ok()) ADD_FAILURE() << options.message();
    return options.ok() ? *options : RuntimeOptions{};
  }
  void expect_refused(const std::string& message) {
    const Result<RuntimeOptions> options = resolve_options(given_, lookup);
    ASSERT_EQ(options.code(), StatusCode::kInvalidArgument) << message;
    EXPECT_NE(options.message().find(message), std::string::npos)
        << "expected: " << message << "\n   given: " << options.message();
  }
  rmsjit_options given_{};
};

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_OPTIONS_FIXTURE_H_
