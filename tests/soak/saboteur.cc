// SPDX-License-Identifier: Apache-2.0
#include "tests/soak/saboteur.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "cache/disk_cache.h"

namespace rmsjit::soak {
namespace {

namespace fs = std::filesystem;

std::string read_whole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Over the old file, as a bad disk would: readers may see any part of it.
void write_in_place(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace

std::string Saboteur::any_entry(const std::string& directory) {
  std::vector<std::string> paths;
  std::error_code error;
  fs::recursive_directory_iterator at(directory + "/v1/obj", error), end;
  while (!error && at != end) {
    if (at->path().extension() == ".rmsk") paths.push_back(at->path().string());
    at.increment(error);
  }
  return paths.empty() ? "" : paths[pick(static_cast<unsigned>(paths.size()))];
}

void Saboteur::spoil_bytes(const std::string& path) {
  struct stat facts {};
  if (lstat(path.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  std::string bytes = read_whole(path);
  if (bytes.empty()) return;
  switch (pick(5)) {
    case 0:
      bytes.resize(pick(static_cast<unsigned>(bytes.size())));
      break;
    case 1:
      bytes += "tail";
      break;
    case 2:
      std::fill(bytes.begin(), bytes.end(), '\0');
      break;
    default:
      bytes[pick(static_cast<unsigned>(bytes.size()))] ^= static_cast<char>(1 << pick(8));
  }
  write_in_place(path, bytes);
  ++done_.damaged;
}

void Saboteur::put_something_else(const std::string& path) {
  std::error_code ignored;
  const std::string other =
      any_entry(directories_[pick(static_cast<unsigned>(directories_.size()))]);
  struct stat facts {};
  fs::remove_all(path, ignored);
  switch (pick(6)) {
    case 0:
      fs::create_directory(path, ignored);
      break;
    case 1:
      fs::create_symlink(other, path, ignored);
      break;
    case 2:
      (void)!mkfifo(path.c_str(), 0600);
      break;
    case 3:
      fs::create_hard_link(other, path, ignored);
      break;
    case 4:
      if (lstat(other.c_str(), &facts) != 0 || !S_ISREG(facts.st_mode)) break;
      write_in_place(path, read_whole(other));  // an intact entry of another key
      chmod(path.c_str(), 0666);
      break;
    default:
      break;  // gone
  }
  ++done_.replaced;
}

// v1 is moved away or opened to everybody for a moment, or times come from the future.
void Saboteur::unhinge(const std::string& directory) {
  const std::string v1 = directory + "/v1", away = directory + "/away";
  std::error_code ignored;
  switch (pick(4)) {
    case 0:
      fs::remove_all(v1, ignored);
      break;
    case 1:
      fs::rename(v1, away, ignored);
      std::this_thread::sleep_for(std::chrono::milliseconds(pick(200)));
      fs::remove_all(away, ignored);
      break;
    case 2:
      chmod(v1.c_str(), 0777);
      std::this_thread::sleep_for(std::chrono::milliseconds(pick(100)));
      chmod(v1.c_str(), 0700);
      break;
    default: {
      const timespec times[2] = {{4000000000, 0}, {4000000000, 0}};
      utimensat(AT_FDCWD, any_entry(directory).c_str(), times, AT_SYMLINK_NOFOLLOW);
    }
  }
  ++done_.unhinged;
}

void Saboteur::tidy(const std::string& directory, bool everything) {
  auto cache = DiskCache::open(directory, DiskCache::Mode::kReadWrite);
  if (!cache.ok()) return;
  if (everything) {
    (void)(*cache)->clear(false).ok();
    ++done_.cleared;
  } else {
    (void)(*cache)->prune(pick(64 << 10), 0, false).ok();
    ++done_.pruned;
  }
}

void Saboteur::act() {
  const std::string& directory = directories_[pick(static_cast<unsigned>(directories_.size()))];
  const std::string path = any_entry(directory);
  const unsigned dice = pick(100);
  if (dice < 4) return unhinge(directory);
  if (dice < 8) return tidy(directory, true);
  if (dice < 20) return tidy(directory, false);
  if (path.empty()) return;
  if (dice < 60) return spoil_bytes(path);
  if (dice < 85) return put_something_else(path);
  std::error_code ignored;
  fs::remove(path, ignored);
  ++done_.removed;
}

}  // namespace rmsjit::soak
