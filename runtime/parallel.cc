// SPDX-License-Identifier: Apache-2.0
#include "runtime/parallel.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <vector>

namespace rmsjit {
namespace {

struct Queue {
  const std::function<void(size_t)>& work;
  const size_t count;
  std::atomic<size_t> next{0};

  void drain() {
    for (size_t i = next++; i < count; i = next++) work(i);
  }
};

void* run(void* queue) {
  static_cast<Queue*>(queue)->drain();
  return nullptr;
}

}  // namespace

void run_parallel(int jobs, size_t count, const std::function<void(size_t)>& work) {
  Queue queue{work, count};
  std::vector<pthread_t> threads;
  sigset_t all, before;
  sigfillset(&all);
  // A new thread has its creator's mask.
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const size_t wanted = std::min<size_t>(static_cast<size_t>(std::max(jobs, 1)), count);
  for (size_t i = 1; i < wanted; ++i) {
    pthread_t thread;
    // pthread and not std::thread, which would throw where the host is out of threads.
    if (pthread_create(&thread, nullptr, run, &queue) != 0) break;
    threads.push_back(thread);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  queue.drain();
  for (const pthread_t thread : threads) pthread_join(thread, nullptr);
}

}  // namespace rmsjit
