// SPDX-License-Identifier: Apache-2.0
// Whom a cache directory trusts. Most of these need two users, so they need root.
#include <sys/mount.h>

#include "tests/as_user.h"
#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
using Share = DiskCache::Share;
namespace fs = std::filesystem;

TEST(DiskCacheTrust, FolderThatOthersCanWriteIsRefused) {
  Scratch scratch;
  open_cache(scratch.dir())->put(sample_entry(1)).ok();
  for (mode_t mode : {0777u, 0707u, 0770u, 0720u, 01777u}) {
    ASSERT_EQ(chmod((scratch.dir() + "/v1").c_str(), mode), 0);
    const auto cache = DiskCache::open(scratch.dir(), Mode::kReadWrite);
    EXPECT_EQ(cache.code(), StatusCode::kUntrusted) << std::oct << mode;
    EXPECT_NE(cache.message().find("/v1"), std::string::npos) << cache.message();
  }
  for (mode_t mode : {0700u, 0755u, 02700u}) {
    ASSERT_EQ(chmod((scratch.dir() + "/v1").c_str(), mode), 0);
    EXPECT_EQ(open_cache(scratch.dir())->get(sample_key(1)).kind, Kind::kHit) << std::oct << mode;
  }
}

TEST(DiskCacheTrust, InnerFolderThatOthersCanWriteIsNotUsed) {
  for (const std::string& part : {std::string("/v1/obj"), std::string("folder")}) {
    Scratch scratch;
    auto cache = open_cache(scratch.dir());
    ASSERT_TRUE(cache->put(sample_entry(1)).ok());
    const std::string entry = entry_path(scratch.dir(), 1);
    const std::string path =
        part == "folder" ? fs::path(entry).parent_path().string() : scratch.dir() + part;
    ASSERT_EQ(chmod(path.c_str(), 0777), 0);
    const Lookup found = cache->get(sample_key(1));
    EXPECT_EQ(found.kind, Kind::kUnreadable);
    EXPECT_NE(found.reason.find("0777"), std::string::npos) << found.reason;
    const Status status = cache->put(sample_entry(1));
    EXPECT_EQ(status.code(), StatusCode::kUntrusted);
    EXPECT_NE(status.message().find("mode 0777"), std::string::npos) << status.message();
    EXPECT_TRUE(fs::exists(entry));
  }
}

TEST(DiskCacheTrust, V1ThatIsNotADirectoryIsRefused) {
  Scratch scratch;
  fs::create_directories(scratch.path() + "/elsewhere");
  fs::create_directories(scratch.dir());
  fs::create_directory_symlink(scratch.path() + "/elsewhere", scratch.dir() + "/v1");
  for (Mode mode : {Mode::kReadWrite, Mode::kReadOnly}) {
    EXPECT_EQ(DiskCache::open(scratch.dir(), mode).code(), StatusCode::kUntrusted);
  }
  EXPECT_TRUE(fs::is_empty(scratch.path() + "/elsewhere"));
}

TEST(DiskCacheTrust, FolderOfAnotherUserIsRefusedEvenFor0700) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to make a folder of another user";
  Scratch scratch;
  chmod(scratch.path().c_str(), 0777);
  // Alice plants v1 in a volume that everybody can write; Bob must not use it.
  ASSERT_TRUE(as_user(kAlice, kAlice, [&] {
    fs::create_directory(scratch.dir());
    chmod(scratch.dir().c_str(), 0777);
    auto cache = DiskCache::open(scratch.dir(), Mode::kReadWrite);
    return cache.ok() && chmod((scratch.dir() + "/v1").c_str(), 0755) == 0;
  }));
  EXPECT_TRUE(as_user(kBob, kBob, [&] {
    return DiskCache::open(scratch.dir(), Mode::kReadWrite).code() == StatusCode::kUntrusted;
  }));
  EXPECT_EQ(DiskCache::open(scratch.dir(), Mode::kReadWrite).code(), StatusCode::kUntrusted);
}

TEST(DiskCacheTrust, VolumeThatEverybodyCanWriteIsFineAsAParent) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to act as another user";
  Scratch scratch;
  chmod(scratch.path().c_str(), 0777);
  fs::create_directory(scratch.dir());
  chmod(scratch.dir().c_str(), 0777);
  EXPECT_TRUE(as_user(kAlice, kAlice, [&] {
    auto cache = open_cache(scratch.dir());
    return cache->put(sample_entry(1)).ok() && cache->get(sample_key(1)).kind == Kind::kHit;
  }));
}

TEST(DiskCacheTrust, BundleOfAnyOwnerServesAnyUser) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to act as another user";
  Scratch scratch;
  chmod(scratch.path().c_str(), 0755);
  ASSERT_TRUE(
      open_cache(scratch.dir(), Mode::kReadWrite, Share::kReadable)->put(sample_entry(1)).ok());
  EXPECT_TRUE(as_user(kAlice, kAlice, [&] {
    auto bundle = open_cache(scratch.dir(), Mode::kReadOnly);
    return bundle->get(sample_key(1)).kind == Kind::kHit && bundle->list(true)->size() == 1;
  }));
  // A private cache is just unreadable to her: no crash, nothing removed.
  Scratch other;
  chmod(other.path().c_str(), 0755);
  ASSERT_TRUE(open_cache(other.dir())->put(sample_entry(1)).ok());
  EXPECT_TRUE(as_user(kAlice, kAlice, [&] {
    return DiskCache::open(other.dir(), Mode::kReadOnly).code() == StatusCode::kIo;
  }));
}

TEST(DiskCacheTrust, BundleThatEverybodyCanWriteServesFromAReadOnlyMountOnly) {
  Scratch scratch;
  ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(1)).ok());
  const std::string entry = entry_path(scratch.dir(), 1);
  for (const std::string& path :
       {scratch.dir() + "/v1", scratch.dir() + "/v1/obj", fs::path(entry).parent_path().string()}) {
    ASSERT_EQ(chmod(path.c_str(), 0777), 0);
  }
  ASSERT_EQ(chmod(entry.c_str(), 0666), 0);
  EXPECT_EQ(DiskCache::open(scratch.dir(), Mode::kReadOnly).code(), StatusCode::kUntrusted);
  const std::string keep = scratch.dir();
  const char* dir = keep.c_str();
  if (mount(dir, dir, nullptr, MS_BIND, nullptr) != 0) {
    GTEST_SKIP() << "cannot bind-mount: " << std::generic_category().message(errno);
  }
  EXPECT_EQ(mount(nullptr, dir, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_EQ(open_cache(keep, Mode::kReadOnly)->get(sample_key(1)).kind, Kind::kHit);
  EXPECT_EQ(umount(dir), 0);
}

TEST(DiskCacheTrust, GroupModeSharesWithTheGroupOnly) {
  if (geteuid() != 0) GTEST_SKIP() << "needs root to act as other users";
  Scratch scratch;
  chmod(scratch.path().c_str(), 0777);
  const auto put_as_team = [&](int number) {
    umask(0);
    auto cache = open_cache(scratch.dir(), Mode::kReadWrite, Share::kGroup);
    return cache && cache->put(sample_entry(number)).ok() &&
           cache->lock(sample_key(1).digest(), 0).held();
  };
  ASSERT_TRUE(as_user(kAlice, kTeam, [&] { return put_as_team(1); }));
  ASSERT_TRUE(as_user(kBob, kTeam, [&] { return put_as_team(2); }));
  const auto both_hit = [&] {
    auto cache = open_cache(scratch.dir(), Mode::kReadWrite, Share::kGroup);
    return cache->get(sample_key(1)).kind == Kind::kHit &&
           cache->get(sample_key(2)).kind == Kind::kHit;
  };
  EXPECT_TRUE(as_user(kAlice, kTeam, both_hit));
  EXPECT_TRUE(as_user(kBob, kTeam, both_hit));
  EXPECT_TRUE(as_user(kBob, kTeam, [&] {
    return DiskCache::open(scratch.dir(), Mode::kReadWrite).code() == StatusCode::kUntrusted;
  })) << "without the explicit choice the group is not trusted";
  EXPECT_TRUE(as_user(kBob, kBob, [&] {
    return !DiskCache::open(scratch.dir(), Mode::kReadWrite, Share::kGroup).ok();
  })) << "somebody outside the group";
}

TEST(DiskCacheTrust, ModesFollowTheChoice) {
  const mode_t before = umask(0);
  for (Share share : {Share::kPrivate, Share::kGroup, Share::kReadable}) {
    Scratch scratch;
    ASSERT_TRUE(open_cache(scratch.dir(), Mode::kReadWrite, share)->put(sample_entry(1)).ok());
    const mode_t folder = share == Share::kPrivate ? 0700 : share == Share::kGroup ? 0770 : 0755;
    const mode_t file = share == Share::kPrivate ? 0600 : share == Share::kGroup ? 0640 : 0644;
    struct stat facts {};
    ASSERT_EQ(lstat((scratch.dir() + "/v1/obj").c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, folder);
    ASSERT_EQ(lstat(entry_path(scratch.dir(), 1).c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, file);
  }
  umask(before);
}

}  // namespace
}  // namespace rmsjit
