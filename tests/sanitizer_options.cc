// SPDX-License-Identifier: Apache-2.0
// Compiled into every test of a ThreadSanitizer build: children that a test forks go on, as they do
// in a host.
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "die_after_fork=0:halt_on_error=1"; }
