// SPDX-License-Identifier: Apache-2.0
// What the cache tests share: a private folder that goes away, sample entries, and a look at a
// folder from outside the code under test. Not thread-safe.
#ifndef RMSJIT_TESTS_CACHE_SCRATCH_H_
#define RMSJIT_TESTS_CACHE_SCRATCH_H_

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cache/disk_cache.h"
#include "gtest/gtest.h"

namespace rmsjit {

class Scratch {
 public:
  // Each publish waits for the disk, and a busy one takes a second: only the test that is about the
  // ordinary disk goes there.
  enum class Where { kMemory, kDisk };
  explicit Scratch(Where where = Where::kMemory) {
    const bool memory = where == Where::kMemory && access("/dev/shm", W_OK) == 0;
    const std::filesystem::path parent =
        memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "rmsjit-XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  const std::string& path() const { return path_; }
  std::string dir() const { return path_ + "/cache"; }

 private:
  std::string path_;
};

inline CacheKey sample_key(int number) {
  CacheKey key;
  key.add("schema", "1").add("spec.cuh", "hidden=" + std::to_string(number)).add("target", "sm_90");
  return key;
}

inline Entry sample_entry(int number, size_t image_bytes = 3000) {
  Entry entry;
  entry.target = "sm_90";
  entry.metadata.key_text = sample_key(number).text();
  entry.metadata.spec_text = "hidden=" + std::to_string(number);
  entry.metadata.tuning_text = "threads=128";
  entry.metadata.options = "--std=c++17";
  entry.metadata.nvrtc_version = "13.0";
  entry.metadata.nvrtc_build = "release 13.0, V13.0.88";
  entry.metadata.library_version = "0.1.0";
  entry.metadata.template_digest = std::string(64, 'a');
  entry.metadata.registers = 40;
  entry.metadata.shared_bytes = 512;
  for (size_t i = 0; i < image_bytes; ++i) {
    entry.image += static_cast<char>((i * 131 + static_cast<size_t>(number) * 7) & 0xff);
  }
  return entry;
}

inline std::string entry_path(const std::string& dir, const Digest& digest) {
  const std::string hex = digest.hex();
  return dir + "/v1/obj/" + hex.substr(0, 2) + "/" + hex.substr(2) + ".rmsk";
}
inline std::string entry_path(const std::string& dir, int number) {
  return entry_path(dir, sample_key(number).digest());
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}
inline void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  chmod(path.c_str(), 0600);
}

inline void set_age(const std::string& path, int64_t age_s) {
  timespec times[2] = {{time(nullptr) - age_s, 0}, {time(nullptr) - age_s, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW), 0);
}
inline int64_t age_of(const std::string& path) {
  struct stat facts {};
  EXPECT_EQ(lstat(path.c_str(), &facts), 0) << path;
  return time(nullptr) - facts.st_mtim.tv_sec;
}

// Every path below with its mode, size and times: equal listings mean nothing was touched.
inline std::vector<std::string> listing(const std::string& root) {
  std::vector<std::string> lines;
  for (const auto& item : std::filesystem::recursive_directory_iterator(root)) {
    struct stat facts {};
    lstat(item.path().c_str(), &facts);
    const auto ns = [](const timespec& t) {
      return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec);
    };
    lines.push_back(item.path().string() + " " + std::to_string(facts.st_mode) + " " +
                    std::to_string(facts.st_size) + " " + std::to_string(facts.st_ino) + " " +
                    ns(facts.st_mtim) + " " + ns(facts.st_ctim));
  }
  std::sort(lines.begin(), lines.end());
  return lines;
}

inline int count_files(const std::string& root) {
  int count = 0;
  std::error_code error;
  for (const auto& item : std::filesystem::recursive_directory_iterator(root, error)) {
    count += item.is_directory() ? 0 : 1;
  }
  return count;
}

inline std::unique_ptr<DiskCache> open_cache(const std::string& dir,
                                             DiskCache::Mode mode = DiskCache::Mode::kReadWrite,
                                             DiskCache::Share share = DiskCache::Share::kPrivate) {
  auto cache = DiskCache::open(dir, mode, share);
  EXPECT_TRUE(cache.ok()) << cache.message();
  return cache.ok() ? std::move(*cache) : nullptr;
}

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_CACHE_SCRATCH_H_
