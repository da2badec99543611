// SPDX-License-Identifier: Apache-2.0
#include "runtime/compile_thread.h"

#include <fenv.h>
#include <locale.h>
#include <pthread.h>

#include "runtime/compiler_errors.h"
#include "runtime/no_cancel.h"
#include "runtime/quiet_thread.h"

namespace rmsjit {
namespace {

constexpr size_t kStackBytes = size_t{8} << 20;  // musl and many hosts default to far less

void* run(void* argument) {
  // A host that flushes denormals or reads numbers with a decimal comma must get the same bytes.
  fesetenv(FE_DFL_ENV);
  const locale_t c_locale = newlocale(LC_ALL_MASK, "C", nullptr);
  if (c_locale != nullptr) uselocale(c_locale);
  (*static_cast<const std::function<void()>*>(argument))();
  uselocale(LC_GLOBAL_LOCALE);
  if (c_locale != nullptr) freelocale(c_locale);
  return nullptr;
}

}  // namespace

Status run_on_compile_thread(const std::function<void()>& work) {
  pthread_attr_t attributes;
  int error = pthread_attr_init(&attributes);
  if (error != 0) return no_compile_thread(error);
  pthread_attr_setstacksize(&attributes, kStackBytes);
  const NoCancel no_cancel;
  pthread_t thread;
  error = create_quiet_thread(&thread, &attributes, run, const_cast<std::function<void()>*>(&work));
  pthread_attr_destroy(&attributes);
  if (error == 0) pthread_join(thread, nullptr);
  return error == 0 ? Status() : no_compile_thread(error);
}

}  // namespace rmsjit
