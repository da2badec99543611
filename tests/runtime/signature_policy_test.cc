// SPDX-License-Identifier: Apache-2.0
// Where a signature is required, a store serves what a trusted key has signed and nothing else: no
// other bundle, no compile, no local directory. Where keys are only trusted, a signed bundle is
// held to its manifest and the rest goes on as before.
#include <fstream>

#include "tests/runtime/store_fixture.h"

namespace rmsjit {
namespace {

namespace fs = std::filesystem;

class SignaturePolicy : public KernelStoreTest {
 protected:
  void SetUp() override {
    StoreOptions options;
    options.cache_dir = dir_.path("bundle");
    auto store = make_store(options);
    for (const char* spec : {"hidden=64", "hidden=65"}) {
      ASSERT_TRUE(store->acquire(id_of(spec), kCuda13).ok());
    }
    sign();
    log_.compiles = 0;
  }
  void sign() {
    auto cache = DiskCache::open(dir_.path("bundle"), DiskCache::Mode::kReadWrite);
    ASSERT_TRUE((*cache)->write_signature(key_).ok());
  }
  StoreOptions required() {
    StoreOptions options = on_disk();
    options.bundle_paths = {dir_.path("bundle")};
    options.require_signature = true;
    options.trusted_keys = {key_.public_key()};
    options.retry_ms = 0;
    return options;
  }
  std::string path_of(const char* spec) {
    const std::string hex = id_of(spec).cache_key(13).digest().hex();
    return dir_.path("bundle/v1/obj/" + hex.substr(0, 2) + "/" + hex.substr(2) + ".rmsk");
  }
  // A whole entry of `spec` that was not there when the bundle was signed.
  void plant(const char* spec, const std::string& image_tail) {
    Entry entry = make_store({})->acquire(id_of(spec), kCuda13)->entry;
    entry.image += image_tail;
    fs::create_directories(fs::path(path_of(spec)).parent_path());
    fs::remove(path_of(spec));
    std::ofstream(path_of(spec), std::ios::binary) << encode_entry(entry);
    log_.compiles = 0;
  }
  void expect_refused(const StoreOptions& options, const char* spec, const std::string& why) {
    const auto result = make_store(options)->acquire(id_of(spec), kCuda13);
    EXPECT_EQ(result.code(), StatusCode::kUntrusted) << result.message();
    EXPECT_NE(result.message().find(why), std::string::npos) << result.message();
    EXPECT_EQ(log_.compiles, 0) << "never a compile";
    EXPECT_FALSE(fs::exists(dir_.path("cache"))) << "nor a local directory";
  }

  const SecretKey key_ = *make_secret_key();
};

TEST_F(SignaturePolicy, ASignedBundleServes) {
  auto store = make_store(required());
  const auto result = store->acquire(id_of("hidden=64"), kCuda13);
  ASSERT_TRUE(result.ok()) << result.message();
  EXPECT_EQ(result->origin, Origin::kBundle);
  EXPECT_EQ(store->counters().bundle_hits, 1u);
}

TEST_F(SignaturePolicy, AnUnlistedAChangedAndAMissingEntryAreErrors) {
  plant("hidden=66", "");
  expect_refused(required(), "hidden=66", "not in the signed manifest");
  plant("hidden=64", "more");
  expect_refused(required(), "hidden=64", "not the one that was signed");
  fs::remove(path_of("hidden=65"));
  expect_refused(required(), "hidden=65", "not here");
}

TEST_F(SignaturePolicy, ADamagedEntryIsAnErrorToo) {
  fs::resize_file(path_of("hidden=64"), 100);
  expect_refused(required(), "hidden=64", "not the one that was signed");
}

TEST_F(SignaturePolicy, ABundleThatIsNotSignedOrByAStrangerIsAnErrorForEveryKey) {
  StoreOptions stranger = required();
  stranger.trusted_keys = {make_secret_key()->public_key()};
  expect_refused(stranger, "hidden=64", "none of the 1 trusted keys");
  fs::remove(dir_.path("bundle/v1/MANIFEST.sig"));
  expect_refused(required(), "hidden=64", "is not signed");
  StoreOptions nowhere = required();
  nowhere.bundle_paths = {dir_.path("nowhere")};
  expect_refused(nowhere, "hidden=64", "holds no cache");
}

TEST_F(SignaturePolicy, NoLaterBundleServesForARefusedOne) {
  fs::copy(dir_.path("bundle"), dir_.path("good"), fs::copy_options::recursive);
  plant("hidden=64", "more");
  StoreOptions options = required();
  options.bundle_paths.push_back(dir_.path("good"));
  expect_refused(options, "hidden=64", "not the one that was signed");
  // A key that the first does not have is the second's to serve.
  EXPECT_TRUE(make_store(options)->acquire(id_of("hidden=65"), kCuda13).ok());
}

TEST_F(SignaturePolicy, AKeyThatNobodySignedIsAMissAndNeverCompiled) {
  auto store = make_store(required());
  const auto result = store->acquire(id_of("hidden=4096"), kCuda13);
  EXPECT_EQ(result.code(), StatusCode::kJitDisabled);
  EXPECT_NE(result.message().find("a signature is required"), std::string::npos);
  EXPECT_FALSE(
      store->compile_in_memory(id_of("hidden=4096"), kCuda13, "the driver refused it").ok());
  EXPECT_EQ(log_.compiles, 0);
}

TEST_F(SignaturePolicy, TheHostsStorageIsNotAsked) {
  StoreOptions options = required();
  bool asked = false;
  options.storage.get = [&](const std::string&) -> std::optional<std::string> {
    asked = true;
    return std::nullopt;
  };
  EXPECT_FALSE(make_store(options)->acquire(id_of("hidden=4096"), kCuda13).ok());
  EXPECT_FALSE(asked);
}

TEST_F(SignaturePolicy, ABundleThatEverybodyCanWriteServesWhatWasSigned) {
  fs::permissions(dir_.path("bundle/v1"), fs::perms::all);
  EXPECT_TRUE(make_store(required())->acquire(id_of("hidden=64"), kCuda13).ok());
}

TEST_F(SignaturePolicy, WithTrustedKeysAloneWhatIsNotAsSignedIsCompiledAndSaidOnce) {
  plant("hidden=64", "more");
  plant("hidden=66", "");
  StoreOptions options = required();
  options.require_signature = false;
  auto store = make_store(options);
  EXPECT_EQ(store->acquire(id_of("hidden=64"), kCuda13)->origin, Origin::kCompiled);
  EXPECT_EQ(store->acquire(id_of("hidden=66"), kCuda13)->origin, Origin::kCompiled);
  EXPECT_EQ(store->acquire(id_of("hidden=65"), kCuda13)->origin, Origin::kBundle);
  EXPECT_EQ(store->counters().damaged, 2u);
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(SignaturePolicy, WithTrustedKeysAloneAnUnsignedBundleServesAsBefore) {
  fs::remove(dir_.path("bundle/v1/MANIFEST.sig"));
  plant("hidden=66", "");
  StoreOptions options = required();
  options.require_signature = false;
  EXPECT_EQ(make_store(options)->acquire(id_of("hidden=66"), kCuda13)->origin, Origin::kBundle);
}

}  // namespace
}  // namespace rmsjit
