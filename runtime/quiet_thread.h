// SPDX-License-Identifier: Apache-2.0
// create_quiet_thread: pthread_create for threads of our own inside somebody else's process. The
// host's signal handlers never run on them; faults still reach the host's crash handler.
#ifndef RMSJIT_QUIET_THREAD_H_
#define RMSJIT_QUIET_THREAD_H_

#include <pthread.h>
#include <signal.h>

namespace rmsjit {

// 0 or an error number.
inline int create_quiet_thread(pthread_t* thread, const pthread_attr_t* attributes,
                               void* (*run)(void*), void* argument) {
  sigset_t blocked, before;
  sigfillset(&blocked);
  for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
    sigdelset(&blocked, fault);
  }
  pthread_sigmask(SIG_SETMASK, &blocked, &before);  // the new thread inherits it
  const int error = pthread_create(thread, attributes, run, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

}  // namespace rmsjit

#endif  // RMSJIT_QUIET_THREAD_H_
