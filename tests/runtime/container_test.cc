// SPDX-License-Identifier: Apache-2.0
// Containers as they are run: a user that no file knows, a home of "/", an image layer and volumes
// of somebody else, and programs with raised privileges.
#include <sys/stat.h>

#include <array>
#include <cstdio>
#include <map>

#include "runtime/options.h"
#include "tests/as_user.h"
#include "tests/runtime/store_fixture.h"

namespace rmsjit {
namespace {

class Container : public KernelStoreTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to act as another user";
    chmod(dir_.path().c_str(), 0755);
    // The layer of an image: made by root, readable by all, without the key that is missed later.
    StoreOptions layer;
    layer.cache_dir = dir_.path("bundle");
    layer.share = DiskCache::Share::kReadable;
    ASSERT_TRUE(make_store(layer)->acquire(id_of("hidden=64"), kCuda13).ok());
    std::filesystem::create_directory(dir_.path("volume"));
    chmod(dir_.path("volume").c_str(), 0777);
  }
  StoreOptions from_variables(const std::map<std::string, std::string>& variables) {
    variables_ = variables;
    rmsjit_options given{};
    given.struct_size = sizeof given;
    const auto options = resolve_options(given, [](const char* name) -> const char* {
      const auto found = variables_.find(name);
      return found == variables_.end() ? nullptr : found->second.c_str();
    });
    EXPECT_TRUE(options.ok()) << options.message();
    return options->store;
  }
  // Where the keys 64 (in the bundle) and 65 come from.
  std::string origins(StoreOptions options) {
    auto store = make_store(std::move(options));
    std::string out;
    for (const char* spec : {"hidden=64", "hidden=65"}) {
      const auto result = store->acquire(id_of(spec), kCuda13);
      out += std::string(result.ok() ? origin_name(result->origin) : result.message()) + " ";
    }
    return out;
  }

  inline static std::map<std::string, std::string> variables_;
};

TEST_F(Container, AnArbitraryUserIsServedFromAnImageLayerAndFromMemory) {
  for (const char* home : {"", "/", "/nonexistent", "relative"}) {
    EXPECT_TRUE(as_user(kAlice, kAlice,
                        [&] {
                          const std::string got = origins(from_variables(
                              {{"HOME", home}, {"RMSJIT_BUNDLE_PATH", dir_.path("bundle")}}));
                          EXPECT_EQ(got, "bundle compiled ") << "HOME=" << home;
                          // A home that cannot be made is worth one warning; no home at all is an
                          // ordinary container.
                          return warnings_.size() ==
                                 (std::string(home) == "/nonexistent" ? 1u : 0u);
                        }))
        << "HOME=" << home;
  }
}

TEST_F(Container, AVolumeThatEverybodyCanWriteKeepsKernelsForTheUserWhoMadeThem) {
  const auto run = [&] {
    return origins(from_variables({{"XDG_CACHE_HOME", dir_.path("volume")}}));
  };
  EXPECT_TRUE(as_user(kAlice, kAlice, [&] { return run() == "compiled compiled "; }));
  EXPECT_TRUE(
      as_user(kAlice, kAlice, [&] { return run() == "cache cache " && warnings_.empty(); }));
  EXPECT_TRUE(as_user(kBob, kBob, [&] {
    return run() == "compiled compiled " && warnings_.size() == 1;
  })) << "another user neither trusts nor touches them, and is told so once";
  EXPECT_TRUE(as_user(kAlice, kAlice, [&] { return run() == "cache cache "; }));
}

TEST_F(Container, AGroupThatChoseToShareUsesEachOthersKernels) {
  const auto run = [&] {
    umask(0);
    StoreOptions options;
    options.cache_dir = dir_.path("volume/team");
    options.share = DiskCache::Share::kGroup;
    return origins(options);
  };
  EXPECT_TRUE(as_user(kAlice, kTeam, [&] { return run() == "compiled compiled "; }));
  EXPECT_TRUE(as_user(kBob, kTeam, [&] { return run() == "cache cache " && warnings_.empty(); }));
  EXPECT_TRUE(as_user(kBob, kBob, [&] { return run() == "compiled compiled "; })) << "outside it";
}

std::string output_of(const std::string& command) {
  std::string out;
  FILE* pipe = popen(command.c_str(), "r");
  std::array<char, 4096> piece;
  while (fgets(piece.data(), static_cast<int>(piece.size()), pipe) != nullptr) out += piece.data();
  pclose(pipe);
  return out;
}

// A copy that runs as its owner, as a setuid program would.
TEST_F(Container, AProcessWithRaisedPrivilegesIgnoresEveryVariable) {
  const std::string copy = dir_.path("privileged_host");
  std::filesystem::copy_file(RMSJIT_PRIVILEGED_HOST, copy);
  const auto with = [&](const std::string& variables) {
    return output_of("env -i " + variables + " " + copy);
  };
  const std::string off =
      "RMSJIT_JIT=off RMSJIT_BUNDLE_PATH=" + dir_.path("planted") + " HOME=/root";
  EXPECT_NE(with("RMSJIT_JIT=nonsense").find("create: RMSJIT_JIT=\"nonsense\""), std::string::npos);
  EXPECT_NE(with(off).find("planted"), std::string::npos);
  ASSERT_EQ(chown(copy.c_str(), kAlice, kAlice), 0);
  ASSERT_EQ(chmod(copy.c_str(), 04755), 0);
  const std::string nowhere = " RMSJIT_NVRTC=/planted/libnvrtc.so RMSJIT_WORKER=/planted/worker";
  for (const std::string& variables : {"RMSJIT_JIT=nonsense" + nowhere, off + nowhere}) {
    const std::string said = with(variables);
    EXPECT_EQ(said.find("precompile: "), 0u) << said;
    EXPECT_EQ(said.find("planted"), std::string::npos) << said;
    EXPECT_EQ(said.find("nonsense"), std::string::npos) << said;
    EXPECT_EQ(said.find("/root"), std::string::npos) << said;
  }
}

}  // namespace
}  // namespace rmsjit
