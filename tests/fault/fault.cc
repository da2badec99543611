// SPDX-License-Identifier: Apache-2.0
// See fault.h. The functions below have libc's names and declarations; each asks step() what to do
// and then calls the next definition in search order, which is libc's (or a sanitizer's).
#include "tests/fault/fault.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace rmsjit::fault {
namespace {

constexpr int kMaxTrace = 4096;

struct State {
  std::atomic<bool> armed{false};
  pthread_t owner{};
  Plan plan;
  int steps = 0, injected = 0;
  Call first_injected = Call::kAny;
  Call trace[kMaxTrace];
  std::atomic<long> file_system{0};
  std::atomic<int> refused[static_cast<int>(Call::kCount)] = {};
};
State state;

Effect step(Call call) {
  if (!state.armed || !pthread_equal(state.owner, pthread_self())) return Effect::kCount;
  if (state.plan.only != Call::kAny && state.plan.only != call) return Effect::kCount;
  if (state.steps < kMaxTrace) state.trace[state.steps] = call;
  ++state.steps;
  const bool hit =
      state.plan.from_then_on ? state.steps >= state.plan.at : state.steps == state.plan.at;
  if (!hit || state.plan.effect == Effect::kCount) return Effect::kCount;
  const bool bytes = call == Call::kRead || call == Call::kWrite;
  const bool names = call == Call::kLink || call == Call::kRename ||
                     call == Call::kRenameNoReplace || call == Call::kUnlink ||
                     call == Call::kMkdir || call == Call::kFsync || call == Call::kClose;
  if (state.plan.effect == Effect::kKill) _exit(kKilled);
  if (state.injected++ == 0) state.first_injected = call;
  if (state.plan.effect == Effect::kRun) {
    state.armed = false;
    state.plan.run();
    state.armed = true;
    return Effect::kCount;
  }
  if (state.plan.effect == Effect::kShort && !bytes) return Effect::kCount;
  if (state.plan.effect == Effect::kFailAfter && !names) return Effect::kFail;
  return state.plan.effect;
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

template <class Perform, class Value>
Value guarded(Call call, Value failed, Perform perform) {
  const Effect effect = step(call);
  if (const int refused = state.refused[static_cast<int>(call)]) {
    if (refused == kLie) return Value();
    errno = refused;
    return failed;
  }
  if (effect == Effect::kFail) {
    errno = state.plan.error;
    return failed;
  }
  const Value result = perform();
  if (effect != Effect::kFailAfter) return result;
  errno = state.plan.error;
  return failed;
}

}  // namespace

void arm(const Plan& plan) {
  state.plan = plan;
  state.owner = pthread_self();
  state.steps = state.injected = 0;
  state.first_injected = Call::kAny;
  state.armed = true;
}

Report disarm() {
  state.armed = false;
  Report report{state.steps, state.injected, state.first_injected, {}};
  report.trace.assign(state.trace, state.trace + std::min(state.steps, kMaxTrace));
  return report;
}

void refuse(Call call, int error) { state.refused[static_cast<int>(call)] = error; }

void pretend_file_system(long magic) { state.file_system = magic; }

}  // namespace rmsjit::fault

using rmsjit::fault::Call;
using rmsjit::fault::Effect;
using rmsjit::fault::guarded;
using rmsjit::fault::next;
using rmsjit::fault::step;

namespace {

mode_t mode_of(int flags, va_list list) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
}

}  // namespace

// The body of a call that is passed on with the given arguments.
#define RMSJIT_NEXT(name) static auto* const real = next<decltype(name)>(#name)
#define RMSJIT_FORWARD(call, failed, name, ...) \
  RMSJIT_NEXT(name);                            \
  return guarded(Call::call, failed, [&] { return real(__VA_ARGS__); })

extern "C" {

int openat(int at, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  RMSJIT_FORWARD(kOpen, -1, openat, at, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = mode_of(flags, list);
  va_end(list);
  RMSJIT_FORWARD(kOpen, -1, open, path, flags, mode);
}

ssize_t read(int fd, void* bytes, size_t count) {
  RMSJIT_NEXT(read);
  const Effect effect = step(Call::kRead);
  if (effect == Effect::kShort && count > 1) count /= 2;
  if (effect != Effect::kFail) return real(fd, bytes, count);
  errno = rmsjit::fault::state.plan.error;
  return -1;
}

ssize_t write(int fd, const void* bytes, size_t count) {
  RMSJIT_NEXT(write);
  const Effect effect = step(Call::kWrite);
  if (effect == Effect::kShort && count > 1) count /= 2;
  if (effect != Effect::kFail) return real(fd, bytes, count);
  errno = rmsjit::fault::state.plan.error;
  return -1;
}

int fsync(int fd) { RMSJIT_FORWARD(kFsync, -1, fsync, fd); }

int close(int fd) {
  RMSJIT_NEXT(close);
  const Effect effect = step(Call::kClose);
  const int result = real(fd);  // Linux has closed even when it reports an error
  if (effect == Effect::kCount || effect == Effect::kShort) return result;
  errno = rmsjit::fault::state.plan.error;
  return -1;
}

int fcntl(int fd, int command, ...) {
  RMSJIT_NEXT(fcntl);
  va_list list;
  va_start(list, command);
  void* argument = va_arg(list, void*);
  va_end(list);
  return guarded(Call::kFcntl, -1, [&] { return real(fd, command, argument); });
}

int linkat(int a, const char* from, int b, const char* to, int flags) __THROW {
  RMSJIT_FORWARD(kLink, -1, linkat, a, from, b, to, flags);
}

int renameat(int a, const char* from, int b, const char* to) __THROW {
  RMSJIT_FORWARD(kRename, -1, renameat, a, from, b, to);
}

int renameat2(int a, const char* from, int b, const char* to, unsigned flags) __THROW {
  RMSJIT_FORWARD(kRenameNoReplace, -1, renameat2, a, from, b, to, flags);
}

int unlinkat(int at, const char* path, int flags) __THROW {
  RMSJIT_FORWARD(kUnlink, -1, unlinkat, at, path, flags);
}

int stat(const char* path, struct stat* out) __THROW { RMSJIT_FORWARD(kStat, -1, stat, path, out); }

int fstat(int fd, struct stat* out) __THROW { RMSJIT_FORWARD(kStat, -1, fstat, fd, out); }

int fstatat(int at, const char* path, struct stat* out, int flags) __THROW {
  RMSJIT_FORWARD(kStat, -1, fstatat, at, path, out, flags);
}

int mkdir(const char* path, mode_t mode) __THROW { RMSJIT_FORWARD(kMkdir, -1, mkdir, path, mode); }

int mkdirat(int at, const char* path, mode_t mode) __THROW {
  RMSJIT_FORWARD(kMkdir, -1, mkdirat, at, path, mode);
}

int futimens(int fd, const struct timespec times[2]) __THROW {
  RMSJIT_FORWARD(kTimes, -1, futimens, fd, times);
}

DIR* fdopendir(int fd) { RMSJIT_FORWARD(kList, static_cast<DIR*>(nullptr), fdopendir, fd); }

struct dirent* readdir(DIR* stream) {
  RMSJIT_FORWARD(kList, static_cast<struct dirent*>(nullptr), readdir, stream);
}

int fstatvfs(int fd, struct statvfs* out) __THROW {
  RMSJIT_FORWARD(kFileSystem, -1, fstatvfs, fd, out);
}

int fstatfs(int fd, struct statfs* out) __THROW {
  RMSJIT_NEXT(fstatfs);
  const int result = guarded(Call::kFileSystem, -1, [&] { return real(fd, out); });
  const long pretended = rmsjit::fault::state.file_system;
  if (result == 0 && pretended != 0) out->f_type = pretended;
  return result;
}

ssize_t getrandom(void* bytes, size_t count, unsigned flags) {
  RMSJIT_FORWARD(kRandom, ssize_t{-1}, getrandom, bytes, count, flags);
}

void* mmap(void* address, size_t length, int protection, int flags, int fd, off_t offset) __THROW {
  RMSJIT_NEXT(mmap);
  if (fd >= 0) (void)step(Call::kMapFile);
  return real(address, length, protection, flags, fd, offset);
}

}  // extern "C"
