// SPDX-License-Identifier: Apache-2.0
#include "cache/file_util.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace rmsjit {
namespace {

int as_error(int result) { return result == -1 ? errno : 0; }

int opened(int fd, Fd* out) {
  if (fd == -1) return errno;
  *out = Fd(fd);
  return 0;
}

bool same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

int write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = retry_interrupted([&] { return write(fd, bytes.data(), bytes.size()); });
    if (n == -1) return errno;
    if (n == 0) return EIO;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return 0;
}

// A write past the limit would raise SIGXFSZ, which ends the host.
bool exceeds_file_size_limit(size_t bytes) {
  rlimit limit{};
  return getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         bytes > limit.rlim_cur;
}

// What a file system, an old kernel or a sandbox without the call answers.
bool not_supported(int error) {
  return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP || error == EPERM ||
         error == EMLINK || error == EXDEV;
}

}  // namespace

void Fd::reset() {
  const int kept = errno;
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
  errno = kept;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_mode == b.st_mode &&
         a.st_size == b.st_size && same_time(a.st_mtim, b.st_mtim) &&
         same_time(a.st_ctim, b.st_ctim);
}

int open_directory(const std::string& path, Fd* out) {
  return opened(
      retry_interrupted([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }),
      out);
}

int make_directories(const std::string& path, mode_t mode) {
  for (size_t end = path.find('/', 1); end < path.size(); end = path.find('/', end + 1)) {
    // Only the last step tells: a parent that exists may be one we cannot list or write.
    (void)mkdir(path.substr(0, end).c_str(), mode);
  }
  if (mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return 0;
  const int error = errno;
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 && S_ISDIR(facts.st_mode) ? 0 : error;
}

int open_subdirectory(int at, const std::string& name, Fd* out) {
  return opened(retry_interrupted([&] {
                  return openat(at, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                }),
                out);
}

int replace_descriptor(int from, int to) {
  return as_error(retry_interrupted([&] { return dup3(from, to, O_CLOEXEC); }));
}

int make_subdirectory(int at, const std::string& name, mode_t mode) {
  const int error = as_error(mkdirat(at, name.c_str(), mode));
  return error == EEXIST ? 0 : error;
}

int facts_of(int fd, struct stat* out) { return as_error(fstat(fd, out)); }

int facts_at(int at, const std::string& name, struct stat* out) {
  return as_error(fstatat(at, name.c_str(), out, AT_SYMLINK_NOFOLLOW));
}

int list_names(int directory, std::vector<std::string>* out) {
  Fd fd;  // a position of its own, so that two threads can list at once
  if (int error = open_subdirectory(directory, ".", &fd)) return error;
  DIR* stream = fdopendir(fd.get());
  if (stream == nullptr) return errno;
  fd.release();
  int error = 0;
  for (;;) {
    errno = 0;
    const dirent* item = readdir(stream);
    if (item == nullptr) {
      error = errno;
      break;
    }
    const std::string_view name = item->d_name;
    if (name != "." && name != "..") out->emplace_back(name);
  }
  closedir(stream);
  return error;
}

int remove_name(int at, const std::string& name, mode_t mode) {
  return as_error(unlinkat(at, name.c_str(), S_ISDIR(mode) ? AT_REMOVEDIR : 0));
}

int open_to_read(int at, const std::string& name, Fd* out) {
  // O_NONBLOCK: a FIFO must not hang us; it does nothing to a regular file.
  constexpr int kFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
  return opened(retry_interrupted([&] { return openat(at, name.c_str(), kFlags); }), out);
}

int read_exactly(int fd, int64_t bytes, std::string* out) {
  // One byte more than expected, so that the same loop sees a file that grew.
  out->resize(static_cast<size_t>(bytes) + 1);
  size_t done = 0;
  while (done < out->size()) {
    const ssize_t n =
        retry_interrupted([&] { return read(fd, out->data() + done, out->size() - done); });
    if (n == -1) return errno;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  if (done != static_cast<size_t>(bytes)) return EIO;
  out->resize(done);
  return 0;
}

int set_modified_now(int fd) {
  const timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_NOW}};
  return as_error(futimens(fd, times));
}

int write_new_file(int at, const std::string& name, std::string_view bytes, mode_t mode) {
  if (exceeds_file_size_limit(bytes.size())) return EFBIG;
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Fd fd;
  int error =
      opened(retry_interrupted([&] { return openat(at, name.c_str(), kFlags, mode); }), &fd);
  if (error != 0) return error;
  error = write_all(fd.get(), bytes);
  if (error == 0) error = as_error(retry_interrupted([&] { return fsync(fd.get()); }));
  // A late write error shows here. An interrupted close has closed, and fsync has succeeded.
  const int close_error = as_error(close(fd.release()));
  if (error == 0 && close_error != EINTR) error = close_error;
  if (error != 0) (void)unlinkat(at, name.c_str(), 0);
  return error;
}

int publish_new(int from_at, const std::string& from, int to_at, const std::string& to) {
  int error = as_error(renameat2(from_at, from.c_str(), to_at, to.c_str(), RENAME_NOREPLACE));
  if (!not_supported(error)) return error;
  error = as_error(linkat(from_at, from.c_str(), to_at, to.c_str(), 0));
  if (error == 0) {
    (void)unlinkat(from_at, from.c_str(), 0);
    return 0;
  }
  if (!not_supported(error)) return error;
  // Neither call here: two writers of one key may replace each other's equal file.
  struct stat facts {};
  if (facts_at(to_at, to, &facts) == 0) return EEXIST;
  return publish_over(from_at, from, to_at, to);
}

int publish_over(int from_at, const std::string& from, int to_at, const std::string& to) {
  return as_error(renameat(from_at, from.c_str(), to_at, to.c_str()));
}

std::string unique_name() {
  static std::atomic<uint64_t> counter{0};
  uint64_t random = 0;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != static_cast<ssize_t>(sizeof random)) {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);  // O_EXCL decides; this only makes a clash unlikely
    random = static_cast<uint64_t>(now.tv_nsec) ^ static_cast<uint64_t>(now.tv_sec) << 32;
  }
  return fmt::format("{:x}-{:x}-{:016x}.tmp", getpid(), counter.fetch_add(1), random);
}

bool on_read_only_mount(int fd) {
  struct statvfs facts {};
  return fstatvfs(fd, &facts) == 0 && (facts.f_flag & ST_RDONLY) != 0;
}

bool in_own_groups(gid_t group) {
  if (group == getegid()) return true;
  std::vector<gid_t> groups(static_cast<size_t>(std::max(getgroups(0, nullptr), 0)));
  const int count = getgroups(static_cast<int>(groups.size()), groups.data());
  return std::find(groups.begin(), groups.begin() + std::max(count, 0), group) !=
         groups.begin() + std::max(count, 0);
}

int64_t now_s() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec;
}

const char* network_file_system(int fd) {
  struct Known {
    uint32_t magic;
    const char* name;
  };
  // statfs(2) and the file systems' own sources. FUSE counts: sshfs, virtiofs and many more.
  static constexpr Known kKnown[] = {
      {0x6969, "nfs"},          {0x517b, "smb"},        {0xff534d42, "cifs"},
      {0xfe534d42, "smb2"},     {0x0bd00bd0, "lustre"}, {0x47504653, "gpfs"},
      {0x19830326, "beegfs"},   {0x65735546, "fuse"},   {0x01021997, "9p"},
      {0x00c36400, "ceph"},     {0x5346414f, "afs"},    {0x01161970, "gfs2"},
      {0x7461636f, "ocfs2"},    {0x73757245, "coda"},   {0xaad7aaea, "panfs"},
      {0x20030528, "orangefs"},
  };
  struct statfs facts {};
  if (fstatfs(fd, &facts) != 0) return nullptr;
  for (const Known& known : kKnown) {
    if (static_cast<uint32_t>(facts.f_type) == known.magic) return known.name;
  }
  return nullptr;
}

}  // namespace rmsjit
