// SPDX-License-Identifier: Apache-2.0
// Where an image comes from, and what the store says when it cannot be had.
#include "runtime/kernel_store.h"

#include <gtest/gtest.h>

#include <fstream>

#include "rmsjit/version.h"
#include "tests/runtime/store_fixture.h"

namespace rmsjit {
namespace {

using ::testing::Test;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(KernelStoreTest, CompilesOnceAndTheNextProcessFindsItOnDisk) {
  const KernelId id = id_of("hidden=4096");
  auto first = make_store(on_disk());
  const auto compiled = first->acquire(id, kCuda13);
  ASSERT_TRUE(compiled.ok()) << compiled.message();
  EXPECT_EQ(compiled->origin, Origin::kCompiled);
  EXPECT_EQ(compiled->entry.image, fake_image(make_compile_request(id)));

  auto second = make_store(on_disk());
  const auto found = second->acquire(id, kCuda13);
  ASSERT_TRUE(found.ok()) << found.message();
  EXPECT_EQ(found->origin, Origin::kCache);
  EXPECT_EQ(found->entry.image, compiled->entry.image);
  EXPECT_EQ(found->entry.metadata.spec_text, "hidden=4096,x=bf16");
  EXPECT_EQ(log_.compiles, 1);
  EXPECT_EQ(second->counters().disk_hits, 1u);
  EXPECT_EQ(first->counters().compiles, 1u);
}

TEST_F(KernelStoreTest, AHitAsksTheCompilerNothing) {
  const KernelId id = id_of("hidden=64");
  ASSERT_TRUE(make_store(on_disk())->acquire(id, kCuda13).ok());
  const int before = log_.identities;
  ASSERT_TRUE(make_store(on_disk())->acquire(id, kCuda13).ok());
  EXPECT_EQ(log_.identities, before);
}

TEST_F(KernelStoreTest, BundlesComeBeforeTheDiskAndAreNotWritten) {
  const KernelId id = id_of("hidden=128");
  StoreOptions build = on_disk();
  build.cache_dir = dir_.path("bundle");
  ASSERT_TRUE(make_store(build)->acquire(id, kCuda13).ok());

  StoreOptions serve = on_disk();
  serve.bundle_paths = {dir_.path("absent"), dir_.path("bundle")};
  auto store = make_store(serve);
  const auto found = store->acquire(id, kCuda13);
  ASSERT_TRUE(found.ok()) << found.message();
  EXPECT_EQ(found->origin, Origin::kBundle);
  EXPECT_EQ(store->counters().bundle_hits, 1u);
  EXPECT_EQ(log_.compiles, 1);
  ASSERT_EQ(warnings_.size(), 1u) << "the absent bundle, once";
  EXPECT_TRUE(contains(warnings_[0], dir_.path("absent")));
}

TEST_F(KernelStoreTest, WithoutADirectoryOneCompileServesTheWholeProcess) {
  auto store = make_store({});
  const KernelId id = id_of("hidden=4096");
  ASSERT_TRUE(store->acquire(id, kCuda13).ok());
  ASSERT_TRUE(store->acquire(id, kCuda13).ok());
  EXPECT_EQ(log_.compiles, 1);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(KernelStoreTest, AnImageOfAnOlderCudaMajorServesAndIsFound) {
  compiler_major_ = 12;
  const KernelId id = id_of("hidden=4096");
  ASSERT_TRUE(make_store(on_disk())->acquire(id, {12}).ok());
  StoreOptions searching = on_disk();
  searching.jit = JitMode::kOff;
  const auto found = make_store(searching)->acquire(id, kCuda13);
  ASSERT_TRUE(found.ok()) << found.message();
  EXPECT_EQ(found->origin, Origin::kCache);
  compiler_major_ = 13;
  EXPECT_EQ(make_store(on_disk())->acquire(id, {13})->origin, Origin::kCompiled);
}

TEST_F(KernelStoreTest, ACompilerNewerThanTheDriverIsATypedErrorAndCompilesNothing) {
  const auto result = make_store(on_disk())->acquire(id_of("hidden=4096"), {12});
  EXPECT_EQ(result.code(), StatusCode::kUnsupported);
  EXPECT_TRUE(contains(result.message(), "NVRTC 13.0")) << result.message();
  EXPECT_EQ(log_.compiles, 0);
}

TEST_F(KernelStoreTest, JitOffServesDiskAndNamesKeySpecAndEveryPlaceOnAMiss) {
  const KernelId present = id_of("hidden=4096");
  const KernelId missing = id_of("hidden=4096,weight_form=one_plus");
  ASSERT_TRUE(make_store(on_disk())->acquire(present, kCuda13).ok());
  StoreOptions options = on_disk();
  options.jit = JitMode::kOff;
  options.bundle_paths = {dir_.path("absent")};
  auto store = make_store(options);
  const int before = log_.identities + log_.compiles;
  EXPECT_TRUE(store->acquire(present, kCuda13).ok());
  const auto miss = store->acquire(missing, kCuda13);
  ASSERT_EQ(miss.code(), StatusCode::kJitDisabled);
  const std::string& text = miss.message();
  EXPECT_TRUE(contains(text, missing.cache_key(13).digest().hex())) << text;
  EXPECT_TRUE(contains(text, "\"hidden=4096,x=bf16,weight_form=one_plus\"")) << text;
  EXPECT_TRUE(contains(text, dir_.path("absent") + " (cannot be opened")) << text;
  EXPECT_TRUE(contains(text, dir_.path("cache") + " (no entry)")) << text;
  EXPECT_EQ(log_.identities + log_.compiles, before) << "the compiler was entered";
}

TEST_F(KernelStoreTest, JitOffSaysThatTheBundleIsForAnotherTemplate) {
  const KernelId id = id_of("hidden=4096");
  Entry old = make_store({})->acquire(id, kCuda13)->entry;
  CacheKey key = id.cache_key(13);
  key.fields[1].value = std::string(64, 'a');
  old.metadata.key_text = key.text();
  old.metadata.template_digest = key.fields[1].value;
  old.metadata.library_version = "0.0.9";
  auto bundle = DiskCache::open(dir_.path("bundle"), DiskCache::Mode::kReadWrite);
  ASSERT_TRUE(bundle.ok()) << bundle.message();
  ASSERT_TRUE((*bundle)->put(old).ok());

  StoreOptions options;
  options.jit = JitMode::kOff;
  options.bundle_paths = {dir_.path("bundle")};
  const auto miss = make_store(options)->acquire(id, kCuda13);
  ASSERT_EQ(miss.code(), StatusCode::kJitDisabled);
  EXPECT_TRUE(contains(miss.message(), "is for template aaaaaaaaaaaa (rmsjit 0.0.9)"))
      << miss.message();
  EXPECT_TRUE(contains(miss.message(), "this library has " +
                                           std::string(template_digest().substr(0, 12)) +
                                           " (rmsjit " RMSJIT_VERSION ")"));
}

TEST_F(KernelStoreTest, RefreshReplacesAnIntactEntry) {
  const KernelId id = id_of("hidden=4096");
  ASSERT_TRUE(make_store(on_disk())->acquire(id, kCuda13).ok());
  const auto before = std::filesystem::last_write_time(entry_file());
  std::filesystem::last_write_time(entry_file(), before - std::chrono::hours(1));
  StoreOptions options = on_disk();
  options.refresh = true;
  const auto again = make_store(options)->acquire(id, kCuda13);
  ASSERT_TRUE(again.ok()) << again.message();
  EXPECT_EQ(again->origin, Origin::kCompiled);
  EXPECT_EQ(log_.compiles, 2);
  EXPECT_GE(std::filesystem::last_write_time(entry_file()), before);
}

TEST_F(KernelStoreTest, CompileInMemoryLeavesTheEntryAloneAndServesTheProcess) {
  const KernelId id = id_of("hidden=4096");
  ASSERT_TRUE(make_store(on_disk())->acquire(id, kCuda13).ok());
  const auto written = std::filesystem::last_write_time(entry_file());
  auto store = make_store(on_disk());
  const auto compiled = store->compile_in_memory(id, kCuda13, "the driver refused it");
  ASSERT_TRUE(compiled.ok()) << compiled.message();
  EXPECT_EQ(compiled->origin, Origin::kCompiled);
  EXPECT_EQ(std::filesystem::last_write_time(entry_file()), written);
  EXPECT_EQ(store->acquire(id, kCuda13)->origin, Origin::kCompiled);
  EXPECT_EQ(log_.compiles, 2);
}

TEST_F(KernelStoreTest, ACompileIsLoggedWithItsReasonAndAHitIsSilent) {
  ASSERT_TRUE(make_store(on_disk())->acquire(id_of("hidden=64"), kCuda13).ok());
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_TRUE(contains(notes_[0], "compiled spec \"hidden=64,x=bf16\" for target sm_90 in ") &&
              contains(notes_[0], "searched " + dir_.path("cache") + " (no entry)"))
      << notes_[0];
  notes_.clear();
  auto store = make_store(on_disk());
  EXPECT_EQ(store->acquire(id_of("hidden=64"), kCuda13)->origin, Origin::kCache);
  EXPECT_TRUE(notes_.empty()) << notes_[0];
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(KernelStoreTest, CallsBackForEachCompileWithItsReason) {
  StoreOptions options = on_disk();
  std::vector<std::string> reasons;
  options.on_compile = [&](const KernelId& id, const std::string& reason, double ms) {
    EXPECT_EQ(ms, 1.5);
    reasons.push_back(spec_text(id.spec) + ": " + reason);
  };
  auto store = make_store(options);
  ASSERT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  ASSERT_TRUE(store->acquire(id_of("hidden=64"), kCuda13).ok());
  ASSERT_EQ(reasons.size(), 1u);
  EXPECT_TRUE(
      contains(reasons[0], "hidden=64,x=bf16: searched " + dir_.path("cache") + " (no entry)"))
      << reasons[0];
}

}  // namespace
}  // namespace rmsjit
