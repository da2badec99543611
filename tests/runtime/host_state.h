// SPDX-License-Identifier: Apache-2.0
// HostState: everything of a process that a library in it must leave alone, taken as text so that a
// difference names itself.
#ifndef RMSJIT_TESTS_HOST_STATE_H_
#define RMSJIT_TESTS_HOST_STATE_H_

#include <map>
#include <string>

namespace rmsjit {

// Limits, signal handlers and mask, locale, folder, floating-point environment, cancel state and
// environment variables, by name.
std::map<std::string, std::string> host_state();

// Open descriptors and what they are, by number; sorted.
std::map<int, std::string> open_descriptors();

// Whether this process has a child, a zombie included.
bool has_children();

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_HOST_STATE_H_
