// SPDX-License-Identifier: Apache-2.0
// Every system call of the cache layer but the locks (file_lock.h): reads, whole-file writes,
// publishing, directories. All relative to an open directory, none follows a symbolic link in the
// last component, none opens an existing file for writing, none maps a file. Each returns 0 or an
// errno value and leaves no descriptor behind; EINTR is retried a bounded number of times.
#ifndef RMSJIT_FILE_UTIL_H_
#define RMSJIT_FILE_UTIL_H_

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rmsjit {

// Owns one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~Fd() { reset(); }
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int release() { return std::exchange(fd_, -1); }
  void reset();

 private:
  int fd_ = -1;
};

// Repeats a call that was interrupted, but never for ever.
template <class Call>
auto retry_interrupted(Call call) {
  auto result = call();
  for (int i = 0; i < 100 && result == -1 && errno == EINTR; ++i) result = call();
  return result;
}

// The same file, unchanged since: inode numbers alone are reused at once.
bool same_file(const struct stat& a, const struct stat& b);

// Follows symbolic links: where the caller's own directory lies is the caller's business.
int open_directory(const std::string& path, Fd* out);
// mkdir -p. An existing directory is success.
int make_directories(const std::string& path, mode_t mode);

int open_subdirectory(int at, const std::string& name, Fd* out);
// Makes the number `to` name what `from` names, in one step for every thread.
int replace_descriptor(int from, int to);
int make_subdirectory(int at, const std::string& name, mode_t mode);
int facts_of(int fd, struct stat* out);
int facts_at(int at, const std::string& name, struct stat* out);
// Names but "." and "..", in no order.
int list_names(int directory, std::vector<std::string>* out);
// A file or an empty directory.
int remove_name(int at, const std::string& name, mode_t mode);

int open_to_read(int at, const std::string& name, Fd* out);
// Exactly `bytes` bytes and then the end of the file, else EIO.
int read_exactly(int fd, int64_t bytes, std::string* out);
int set_modified_now(int fd);

// A new file with all of `bytes`, on the disk when this returns 0; else removed again.
int write_new_file(int at, const std::string& name, std::string_view bytes, mode_t mode);
// Moves a file to a name in the same file system. EEXIST if something is there.
int publish_new(int from_at, const std::string& from, int to_at, const std::string& to);
int publish_over(int from_at, const std::string& from, int to_at, const std::string& to);

// A name that no other process picks.
std::string unique_name();
bool on_read_only_mount(int fd);
bool in_own_groups(gid_t group);
int64_t now_s();
// "nfs" and the like, or null for a local file system: locks there may be node-local or lie.
const char* network_file_system(int fd);

}  // namespace rmsjit

#endif  // RMSJIT_FILE_UTIL_H_
