// SPDX-License-Identifier: Apache-2.0
// Network file systems, on the fault layer: no mapping, no reading back, publishing without
// renameat2 or link, locks that are node-local, missing or lying.
#include <algorithm>
#include <cerrno>
#include <thread>

#include "tests/cache/scratch.h"
#include "tests/fault/fault.h"

namespace {
bool privileged = false;
}

// In front of the one of libc: what a process with raised privileges sees.
extern "C" char* secure_getenv(const char* name) noexcept {
  return privileged ? nullptr : getenv(name);
}

namespace rmsjit {
namespace {

using fault::Call;
using fault::Effect;
using fault::Plan;
using fault::Report;
using Kind = Lookup::Kind;
namespace fs = std::filesystem;

int count(const Report& report, Call call) {
  return static_cast<int>(std::count(report.trace.begin(), report.trace.end(), call));
}

// Says nfs for as long as it lives, and sets $XDG_RUNTIME_DIR.
class Network {
 public:
  explicit Network(const std::string& runtime) {
    fault::pretend_file_system(0x6969);
    setenv("XDG_RUNTIME_DIR", runtime.c_str(), 1);
  }
  ~Network() {
    fault::pretend_file_system(0);
    unsetenv("XDG_RUNTIME_DIR");
  }
};

TEST(CacheNetwork, NothingIsMappedAndNothingIsReadBack) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  fault::arm(Plan());
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  const Report put = fault::disarm();
  EXPECT_EQ(count(put, Call::kRead), 0);
  EXPECT_EQ(count(put, Call::kMapFile), 0);
  fault::arm(Plan());
  ASSERT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
  const Report get = fault::disarm();
  EXPECT_GT(count(get, Call::kRead), 0);
  EXPECT_EQ(count(get, Call::kMapFile), 0);
  for (Call call : {Call::kWrite, Call::kMkdir, Call::kTimes, Call::kUnlink, Call::kFcntl}) {
    EXPECT_EQ(count(get, call), 0) << "a fresh hit writes nothing";
  }
}

TEST(CacheNetwork, LocksLiveInTheRuntimeDirectory) {
  Scratch scratch;
  const std::string runtime = scratch.path() + "/run";
  fs::create_directory(runtime);
  chmod(runtime.c_str(), 0700);
  Network network(runtime);
  auto cache = open_cache(scratch.dir());
  EXPECT_STREQ(cache->network_file_system(), "nfs");
  KeyLock lock = cache->lock(sample_key(1).digest(), 0);
  EXPECT_TRUE(lock.held());
  EXPECT_FALSE(open_cache(scratch.dir())->lock(sample_key(1).digest(), 0).held());
  EXPECT_TRUE(open_cache(scratch.path() + "/other")->lock(sample_key(1).digest(), 0).held())
      << "another cache has locks of its own";
  EXPECT_FALSE(fs::exists(scratch.dir() + "/v1/lock"));
  EXPECT_EQ(count_files(runtime), 2);
}

TEST(CacheNetwork, NoRuntimeDirectoryOfOursMeansNoLocks) {
  Scratch scratch;
  const std::string shared = scratch.path() + "/shared";
  fs::create_directory(shared);
  chmod(shared.c_str(), 0777);
  for (const std::string& runtime :
       {std::string(), std::string("relative"), shared, scratch.path() + "/missing"}) {
    Network network(runtime);
    auto cache = open_cache(scratch.dir());
    const KeyLock lock = cache->lock(sample_key(1).digest(), 20000);
    EXPECT_FALSE(lock.held());
    EXPECT_FALSE(lock.waited());
    EXPECT_TRUE(cache->put(sample_entry(1)).ok());
    EXPECT_TRUE(cache->prune(0, 0, false).ok());
  }
  EXPECT_TRUE(fs::is_empty(shared));
}

TEST(CacheNetwork, APrivilegedProcessTakesNoLocksWhereAVariableSays) {
  Scratch scratch;
  const std::string runtime = scratch.path() + "/run";
  fs::create_directory(runtime);
  chmod(runtime.c_str(), 0700);
  Network network(runtime);
  privileged = true;
  const auto cache = open_cache(scratch.dir());
  EXPECT_FALSE(cache->lock(sample_key(1).digest(), 20000).held());
  EXPECT_TRUE(cache->put(sample_entry(1)).ok());
  privileged = false;
  EXPECT_TRUE(fs::is_empty(runtime)) << "somebody who may not write there chose the directory";
}

TEST(CacheNetwork, LocalFileSystemIsNotANetworkOne) {
  Scratch scratch;
  fault::pretend_file_system(0xef53);  // ext4
  EXPECT_EQ(open_cache(scratch.dir())->network_file_system(), nullptr);
  fault::pretend_file_system(0);
}

// Refuses one kind of call for as long as it lives.
class Refuse {
 public:
  Refuse(Call call, int error) : call_(call) { fault::refuse(call, error); }
  ~Refuse() { fault::refuse(call_, 0); }

 private:
  Call call_;
};

// A first writer publishes, a second one loses to it.
void expect_first_writer_wins() {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
  const auto before = listing(scratch.dir() + "/v1/obj");
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  EXPECT_EQ(listing(scratch.dir() + "/v1/obj"), before);
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
}

TEST(CacheNetwork, PublishesWithLinkWhereRenameat2IsMissing) {
  for (int error : {EINVAL, ENOSYS, EPERM}) {
    Refuse rename(Call::kRenameNoReplace, error);
    expect_first_writer_wins();
  }
}

TEST(CacheNetwork, PublishesWithPlainRenameWhereNeitherExists) {
  for (int error : {EPERM, EOPNOTSUPP, ENOSYS, EMLINK}) {
    Refuse rename(Call::kRenameNoReplace, EINVAL);
    Refuse link(Call::kLink, error);
    expect_first_writer_wins();
  }
}

TEST(CacheNetwork, WinnerThatCannotBeSeenIsAnErrorAndNoHang) {
  // A negative look-up cached by the client: the name is taken, yet nothing is there to be read.
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  Refuse rename(Call::kRenameNoReplace, EEXIST);
  EXPECT_EQ(cache->put(sample_entry(1)).code(), StatusCode::kIo);
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
}

TEST(CacheNetwork, LocksThatFailOrLieCostNothingButWork) {
  for (int error : {ENOLCK, EOPNOTSUPP, EINVAL, EACCES, fault::kLie}) {
    SCOPED_TRACE(error);
    Refuse lock(Call::kFcntl, error);
    Scratch scratch;
    std::vector<std::thread> threads;
    for (int t = 0; t < 6; ++t) {
      threads.emplace_back([&] {
        auto cache = open_cache(scratch.dir());
        for (int i = 0; i < 5; ++i) {
          const KeyLock held = cache->lock(sample_key(i).digest(), 20000);
          EXPECT_EQ(held.held(), error == fault::kLie);
          EXPECT_FALSE(held.waited());
          EXPECT_TRUE(cache->put(sample_entry(i)).ok());
          EXPECT_EQ(cache->get(sample_key(i)).kind, Kind::kHit);
        }
      });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(count_files(scratch.dir() + "/v1/obj"), 5);
  }
}

}  // namespace
}  // namespace rmsjit
