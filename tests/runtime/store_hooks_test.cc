// SPDX-License-Identifier: Apache-2.0
// What a host can hang onto the store: storage of its own, trace ranges, the journal of misses.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <sstream>

#include "tests/runtime/store_fixture.h"

namespace rmsjit {
namespace {

class StorageTest : public KernelStoreTest {
 protected:
  StoreOptions with_storage() {
    StoreOptions options;
    options.storage.get = [this](const std::string& key) -> std::optional<std::string> {
      const auto it = stored_.find(key);
      if (it == stored_.end()) return std::nullopt;
      return it->second;
    };
    options.storage.put = [this](const std::string& key, const std::string& bytes) {
      if (full_) return false;
      stored_[key] = bytes;
      return true;
    };
    return options;
  }
  std::map<std::string, std::string> stored_;
  bool full_ = false;
};

TEST_F(StorageTest, ReceivesEveryCompileAndServesTheNextProcess) {
  const KernelId id = id_of("hidden=64");
  ASSERT_TRUE(make_store(with_storage())->acquire(id, kCuda13).ok());
  ASSERT_EQ(stored_.size(), 1u);
  EXPECT_EQ(stored_.begin()->first, id.cache_key(13).digest().hex());
  auto store = make_store(with_storage());
  const auto found = store->acquire(id, kCuda13);
  ASSERT_TRUE(found.ok()) << found.message();
  EXPECT_EQ(found->origin, Origin::kCache);
  EXPECT_EQ(store->counters().disk_hits, 1u);
  EXPECT_EQ(log_.compiles, 1);
}

TEST_F(StorageTest, IsAskedAfterTheDisk) {
  const KernelId id = id_of("hidden=64");
  StoreOptions both = with_storage();
  both.cache_dir = dir_.path("cache");
  ASSERT_TRUE(make_store(both)->acquire(id, kCuda13).ok());
  stored_.begin()->second = "spoiled";
  auto store = make_store(both);
  EXPECT_EQ(store->acquire(id, kCuda13)->origin, Origin::kCache);
  EXPECT_EQ(store->counters().damaged, 0u);
}

TEST_F(StorageTest, WhatItSpoiledOrMixedUpIsAMissAndReplaced) {
  const KernelId a = id_of("hidden=64"), b = id_of("hidden=65");
  auto builder = make_store(with_storage());
  ASSERT_TRUE(builder->acquire(a, kCuda13).ok());
  ASSERT_TRUE(builder->acquire(b, kCuda13).ok());
  const std::string name = a.cache_key(13).digest().hex();
  const std::string good = stored_[name];
  for (const std::string& bytes : {std::string(), good.substr(0, good.size() - 1), good + "x",
                                   stored_[b.cache_key(13).digest().hex()]}) {
    stored_[name] = bytes;
    auto store = make_store(with_storage());
    const auto again = store->acquire(a, kCuda13);
    ASSERT_TRUE(again.ok()) << again.message();
    EXPECT_EQ(again->origin, Origin::kCompiled);
    EXPECT_EQ(store->counters().damaged, 1u);
    EXPECT_EQ(stored_[name], good);
  }
}

TEST_F(StorageTest, ThatKeepsNothingCostsOneWarningAndNoError) {
  full_ = true;
  auto store = make_store(with_storage());
  EXPECT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  EXPECT_TRUE(store->acquire(id_of("hidden=65"), kCuda13).ok());
  EXPECT_EQ(store->counters().write_failures, 2u);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(StorageTest, IsNamedAmongThePlacesOfAMiss) {
  StoreOptions options = with_storage();
  options.jit = JitMode::kOff;
  const auto miss = make_store(options)->acquire(id_of("hidden=64"), kCuda13);
  EXPECT_NE(miss.message().find("the host's storage (no entry)"), std::string::npos)
      << miss.message();
}

TEST_F(KernelStoreTest, TraceRangesAreNestedAndNameWhatIsSlow) {
  StoreOptions options = on_disk();
  std::vector<std::string> seen;
  options.trace = [&](TracePhase phase, const char* what, const char* text) {
    seen.push_back((phase == TracePhase::kBegin ? "+" : "-") + std::string(what));
    EXPECT_STREQ(text, "hidden=64,x=bf16");
  };
  auto store = make_store(options);
  ASSERT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  EXPECT_EQ(seen,
            (std::vector<std::string>{"+read", "-read", "+wait", "-wait", "+compile", "-compile"}));
  seen.clear();
  ASSERT_TRUE(make_store(options)->acquire(id_of("hidden=64"), kCuda13).ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"+read", "-read"}));
}

std::string text_of(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

TEST_F(KernelStoreTest, TheJournalHoldsEachMissedSpecOnce) {
  StoreOptions options = on_disk();
  options.journal = dir_.path("misses");
  auto store = make_store(options);
  ASSERT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  ASSERT_TRUE(store->acquire(id_of("hidden=64", {80, false}), kCuda13).ok());
  ASSERT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  EXPECT_EQ(text_of(options.journal), "hidden=64,x=bf16\n");
  options.jit = JitMode::kOff;
  auto off = make_store(options);
  ASSERT_TRUE(off->acquire(id_of("hidden=64"), kCuda13).ok());
  EXPECT_FALSE(off->acquire(id_of("hidden=65"), kCuda13).ok());
  EXPECT_EQ(text_of(options.journal), "hidden=64,x=bf16\nhidden=65,x=bf16\n");
}

TEST_F(KernelStoreTest, AJournalThatCannotBeWrittenIsCountedAndStopsNothing) {
  StoreOptions options;
  options.journal = dir_.path("absent/misses");
  auto store = make_store(options);
  EXPECT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  EXPECT_EQ(store->counters().write_failures, 1u);
  options.journal = dir_.path("fifo");
  ASSERT_EQ(mkfifo(options.journal.c_str(), 0600), 0);
  EXPECT_TRUE(make_store(options)->acquire(id_of("hidden=64"), kCuda13).ok());
}

}  // namespace
}  // namespace rmsjit
