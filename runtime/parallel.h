// SPDX-License-Identifier: Apache-2.0
// run_parallel: work(0) .. work(count - 1) on the calling thread and up to jobs - 1 more. The other
// threads take no signal of the host; where none can be started, the caller does all the work.
#ifndef RMSJIT_PARALLEL_H_
#define RMSJIT_PARALLEL_H_

#include <cstddef>
#include <functional>

namespace rmsjit {

void run_parallel(int jobs, size_t count, const std::function<void(size_t)>& work);

}  // namespace rmsjit

#endif  // RMSJIT_PARALLEL_H_
