// SPDX-License-Identifier: Apache-2.0
// A spec whose plan has what a test is about. Which sizes those are changes with the plan files,
// and the test shall not.
#ifndef RMSJIT_TESTS_PLAN_SEARCH_H_
#define RMSJIT_TESTS_PLAN_SEARCH_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "rmsjit/spec_text.h"
#include "runtime/launch_plan.h"

namespace rmsjit {

// "hidden=N" and `rest`, of the smallest such size from `least` on.
template <class Has>
std::string spec_with(const std::string& rest, const Target& target, const Has& has,
                      int64_t least = 64) {
  for (int64_t hidden = least; hidden <= 262144;
       hidden += std::max<int64_t>(64, hidden / 1024 * 64)) {
    const std::string text = "hidden=" + std::to_string(hidden) + rest;
    if (has(launch_plan(canonical(*parse_spec(text), target), target))) return text;
  }
  ADD_FAILURE() << "no plan of *" << rest << " on " << target.name() << " has it";
  return "hidden=64" + rest;
}

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_PLAN_SEARCH_H_
