// SPDX-License-Identifier: Apache-2.0
// Damage is a miss that heals: whatever lies at an entry's name, a look-up never hangs, never
// serves it, and the next publish puts a whole entry there.
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <functional>
#include <random>

#include "tests/cache/scratch.h"

namespace rmsjit {
namespace {

using Kind = Lookup::Kind;
using Mode = DiskCache::Mode;
namespace fs = std::filesystem;

struct Damage {
  const char* name;
  std::function<bool(const std::string& path)> make;  // false: cannot be made here
};

const Damage kDamage[] = {
    {"truncated", [](const std::string& p) { return truncate(p.c_str(), 100) == 0; }},
    {"empty", [](const std::string& p) { return truncate(p.c_str(), 0) == 0; }},
    {"hole at the end", [](const std::string& p) { return truncate(p.c_str(), 8192) == 0; }},
    {"longer than is ever read",
     [](const std::string& p) { return truncate(p.c_str(), int64_t{1} << 33) == 0; }},
    {"another key's entry",
     [](const std::string& p) {
       write_file(p, encode_entry(sample_entry(99)));
       return true;
     }},
    {"writable by others", [](const std::string& p) { return chmod(p.c_str(), 0666) == 0; }},
    {"symlink to a whole entry",
     [](const std::string& p) {
       fs::rename(p, p + ".moved");
       return symlink((p + ".moved").c_str(), p.c_str()) == 0;
     }},
    {"dangling symlink",
     [](const std::string& p) {
       return unlink(p.c_str()) == 0 && symlink("/nowhere", p.c_str()) == 0;
     }},
    {"FIFO",
     [](const std::string& p) { return unlink(p.c_str()) == 0 && mkfifo(p.c_str(), 0600) == 0; }},
    {"empty directory",
     [](const std::string& p) { return unlink(p.c_str()) == 0 && mkdir(p.c_str(), 0700) == 0; }},
    {"device",
     [](const std::string& p) {
       const std::string made = p + ".dev";
       if (mknod(made.c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0) return false;
       return rename(made.c_str(), p.c_str()) == 0;
     }},
    {"socket",
     [](const std::string& p) {
       unlink(p.c_str());
       const int old = open(".", O_RDONLY | O_DIRECTORY);
       sockaddr_un address{};
       address.sun_family = AF_UNIX;
       std::snprintf(address.sun_path, sizeof address.sun_path, "%s",
                     fs::path(p).filename().c_str());
       const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
       bool made = chdir(fs::path(p).parent_path().c_str()) == 0 &&
                   bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
       close(fd);
       made = fchdir(old) == 0 && made;
       close(old);
       return made;
     }},
    {"folder is a file",
     [](const std::string& p) {
       const fs::path folder = fs::path(p).parent_path();
       fs::remove_all(folder);
       write_file(folder, "x");
       return true;
     }},
    {"folder is a symlink",
     [](const std::string& p) {
       const fs::path folder = fs::path(p).parent_path();
       fs::rename(folder, folder.parent_path() / "elsewhere");
       fs::create_directory_symlink(folder.parent_path() / "elsewhere", folder);
       return true;
     }},
    {"obj is a symlink",
     [](const std::string& p) {
       const fs::path obj = fs::path(p).parent_path().parent_path();
       fs::rename(obj, obj.parent_path() / "elsewhere");
       fs::create_directory_symlink(obj.parent_path() / "elsewhere", obj);
       return true;
     }},
};

TEST(DiskCacheDamage, EveryKindIsAMissThatHeals) {
  for (const Damage& damage : kDamage) {
    SCOPED_TRACE(damage.name);
    Scratch scratch;
    auto cache = open_cache(scratch.dir());
    ASSERT_TRUE(cache->put(sample_entry(1)).ok());
    if (!damage.make(entry_path(scratch.dir(), 1))) {
      std::printf("note: cannot make \"%s\" here\n", damage.name);
      continue;
    }
    const Lookup found = cache->get(sample_key(1));
    EXPECT_EQ(found.kind, Kind::kDamaged) << found.reason;
    EXPECT_NE(found.reason, "");
    EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kMiss) << "removed, so said once";
    ASSERT_TRUE(cache->put(sample_entry(1)).ok());
    EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
  }
}

TEST(DiskCacheDamage, PutAloneReplacesEveryKind) {
  for (const Damage& damage : kDamage) {
    for (bool over : {false, true}) {
      SCOPED_TRACE(damage.name);
      Scratch scratch;
      auto cache = open_cache(scratch.dir());
      ASSERT_TRUE(cache->put(sample_entry(1)).ok());
      if (!damage.make(entry_path(scratch.dir(), 1))) continue;
      const Status status = over ? cache->replace(sample_entry(1)) : cache->put(sample_entry(1));
      ASSERT_TRUE(status.ok()) << status.message();
      EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kHit);
      EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
    }
  }
}

TEST(DiskCacheDamage, VerifySeesEveryKindAndChangesNothing) {
  for (const Damage& damage : kDamage) {
    SCOPED_TRACE(damage.name);
    Scratch scratch;
    ASSERT_TRUE(open_cache(scratch.dir())->put(sample_entry(1)).ok());
    if (!damage.make(entry_path(scratch.dir(), 1))) continue;
    auto bundle = open_cache(scratch.dir(), Mode::kReadOnly);
    const auto before = listing(scratch.path());
    EXPECT_EQ(bundle->get(sample_key(1)).kind, Kind::kDamaged);
    const auto items = bundle->list(true);
    if (items.ok()) {
      ASSERT_EQ(items->size(), 1u);
      EXPECT_EQ((*items)[0].lookup.kind, Kind::kDamaged) << (*items)[0].lookup.reason;
    } else {
      EXPECT_EQ(items.code(), StatusCode::kIo) << "obj itself";
    }
    EXPECT_EQ(listing(scratch.path()), before);
  }
}

TEST(DiskCacheDamage, SymlinkAtANameNeverReachesItsTarget) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  const std::string victim = scratch.path() + "/victim";
  write_file(victim, "precious");
  fs::remove(entry_path(scratch.dir(), 1));
  fs::create_symlink(victim, entry_path(scratch.dir(), 1));
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  EXPECT_EQ(read_file(victim), "precious");
  // A hard link is a file like any other: judged by its bytes, and only the name is removed.
  fs::remove(entry_path(scratch.dir(), 1));
  fs::create_hard_link(victim, entry_path(scratch.dir(), 1));
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kDamaged);
  EXPECT_EQ(read_file(victim), "precious");
}

TEST(DiskCacheDamage, NonEmptyDirectoryAtANameStaysAndIsAnError) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  const std::string path = entry_path(scratch.dir(), 1);
  fs::create_directories(path);
  for (const char* part : {"/v1", "/v1/obj"}) chmod((scratch.dir() + part).c_str(), 0700);
  chmod(fs::path(path).parent_path().c_str(), 0700);
  write_file(path + "/file", "kept");
  EXPECT_EQ(cache->get(sample_key(1)).kind, Kind::kDamaged);
  EXPECT_EQ(cache->put(sample_entry(1)).code(), StatusCode::kIo);
  EXPECT_EQ(cache->replace(sample_entry(1)).code(), StatusCode::kIo);
  EXPECT_EQ(read_file(path + "/file"), "kept");
  EXPECT_TRUE(fs::is_empty(scratch.dir() + "/v1/tmp"));
}

TEST(DiskCacheDamage, RandomDamageIsNeverServed) {
  Scratch scratch;
  auto cache = open_cache(scratch.dir());
  const std::string good = encode_entry(sample_entry(1));
  std::mt19937 random(4);
  ASSERT_TRUE(cache->put(sample_entry(1)).ok());
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    if (i % 3 == 0) {
      bad.resize(random() % bad.size());
    } else if (i % 3 == 1) {
      bad += std::string(1 + random() % 50, static_cast<char>(random()));
    } else {
      bad[random() % bad.size()] ^= static_cast<char>(1u << (random() % 8));
    }
    write_file(entry_path(scratch.dir(), 1), bad);
    ASSERT_EQ(cache->get(sample_key(1)).kind, Kind::kDamaged);
    ASSERT_FALSE(fs::exists(entry_path(scratch.dir(), 1)));
  }
}

}  // namespace
}  // namespace rmsjit
