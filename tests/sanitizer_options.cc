// SPDX-License-Identifier: Apache-2.0
// Compiled into the tests and the worker of a sanitizer build: children that a test forks go on, as
// they do in a host, and a worker that crashes dies of its signal instead of reporting it.
extern "C" __attribute__((visibility("default"))) const char* __asan_default_options();
extern "C" const char* __asan_default_options() { return "handle_segv=0"; }
extern "C" __attribute__((visibility("default"))) const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() {
  return "die_after_fork=0:halt_on_error=1:handle_segv=0";
}
