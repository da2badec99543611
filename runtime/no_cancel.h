// SPDX-License-Identifier: Apache-2.0
// NoCancel: while it lives, the calling thread cannot be cancelled. Waiting calls are cancellation
// points, and a host's thread that ended inside one would leave our locks held.
#ifndef RMSJIT_NO_CANCEL_H_
#define RMSJIT_NO_CANCEL_H_

#include <pthread.h>

namespace rmsjit {

class NoCancel {
 public:
  NoCancel() { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before_); }
  ~NoCancel() { pthread_setcancelstate(before_, nullptr); }
  NoCancel(const NoCancel&) = delete;
  NoCancel& operator=(const NoCancel&) = delete;

 private:
  int before_ = 0;
};

}  // namespace rmsjit

#endif  // RMSJIT_NO_CANCEL_H_
