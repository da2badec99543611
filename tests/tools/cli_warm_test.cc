// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot warm, the gate before a node takes traffic, with the stub driver's two sm_90 GPUs and
// with none; and the way from a journal of misses to a whole bundle. Needs NVRTC for the bundle.
#include <gtest/gtest.h>

#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

using nlohmann::json;

class CliWarm : public CliBuildTest {
 protected:
  CliResult warm(std::vector<std::string> arguments, const char* driver = "empty_driver") {
    arguments.insert(arguments.begin(), {"warm", "--json"});
    return run_cli(arguments,
                   {.environment = {{"LD_LIBRARY_PATH", std::string(RMSJIT_STUBS) + "/" + driver},
                                    {"RMSJIT_CACHE_DIR", path("cache")},
                                    {"RMSJIT_JOURNAL", path("misses")}}});
  }
  CliResult check(std::vector<std::string> arguments, const char* driver = "empty_driver") {
    arguments.insert(arguments.end(), {"--check", "--bundle", path("bundle")});
    return warm(arguments, driver);
  }
};

TEST_F(CliWarm, WithAGpuEveryKernelIsLoadedOnceAndTimed) {
  build_two();
  const CliResult result =
      check({"--spec", "hidden=64", "--spec", "hidden=64,residual=add"}, "driver");
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const json root = result.json();
  EXPECT_EQ(root["schema_version"], 1);
  EXPECT_EQ(root["summary"]["total"], 2);
  EXPECT_EQ(root["summary"]["loaded"], 2);
  const json item = root["items"][0];
  EXPECT_EQ(item["status"], "ok");
  EXPECT_EQ(item["arch"], "sm_90");
  EXPECT_EQ(item["image"], "sm_90");
  EXPECT_EQ(item["device"], 0);
  EXPECT_EQ(item["origin"], "bundle");
  EXPECT_EQ(item["digest"].get<std::string>().size(), 64u);
  EXPECT_GT(item["ms"], 0);
  EXPECT_TRUE(item["error"].is_null());
}

TEST_F(CliWarm, WithoutAGpuImagesAreCheckedAndItSaysSo) {
  build_two();
  const CliResult result = check({"--spec", "hidden=64", "--arch", "sm_90"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["summary"]["loaded"], 0);
  EXPECT_TRUE(result.json()["items"][0]["device"].is_null());
  EXPECT_NE(result.err.find("images were checked and not loaded: "), std::string::npos)
      << result.err;
  const CliResult nothing = check({"--spec", "hidden=64"});
  EXPECT_EQ(nothing.exit_code, 3);
  EXPECT_NE(nothing.err.find("there is no GPU to warm"), std::string::npos) << nothing.err;
}

TEST_F(CliWarm, AMissOrDamageFailsTheGateAndCompilesAndWritesNothing) {
  build_two();
  const std::vector<std::string> both = {"--spec", "hidden=64", "--spec", "hidden=65"};
  const auto before = files_below(path("bundle"));
  const CliResult miss = check(both, "driver");
  EXPECT_EQ(miss.exit_code, 1);
  EXPECT_EQ(miss.json()["summary"]["ok"], 1);
  EXPECT_EQ(miss.json()["items"][1]["status"], "failed");
  EXPECT_NE(miss.err.find("rmsnorm-aot build --spec \"hidden=65,x=bf16\" --arch sm_90"),
            std::string::npos)
      << miss.err;
  const std::string victim = an_entry_file();
  std::string bytes = read_whole(victim);
  bytes[bytes.size() / 2] ^= 1;
  write(std::filesystem::relative(victim, path("")).string(), bytes);
  const CliResult damaged =
      check({"--spec", "hidden=64", "--spec", "hidden=64,residual=add"}, "driver");
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_EQ(damaged.json()["summary"]["failed"], 1);
  EXPECT_NE(damaged.err.find("SHA-256 does not match"), std::string::npos) << damaged.err;
  EXPECT_EQ(files_below(path("bundle")).size(), before.size());
  EXPECT_FALSE(std::filesystem::exists(path("cache")));
}

TEST_F(CliWarm, ABundleThatIsNotThereIsNotTried) {
  EXPECT_EQ(check({"--spec", "hidden=64", "--arch", "sm_90"}).exit_code, 3);
  EXPECT_EQ(check({"--spec", "hidden=0", "--arch", "sm_90"}).exit_code, 2);
}

TEST_F(CliWarm, WhereASignatureIsRequiredTheGateOpensForASignedBundleOnly) {
  build_two();
  std::string key = run_cli({"keygen", "--out", path("key")}).out;
  key.erase(key.find_last_not_of('\n') + 1);
  const auto gate = [&] {
    return run_cli(
        {"warm", "--check", "--spec", "hidden=64", "--arch", "sm_90", "--bundle", path("bundle")},
        {.environment = {{"RMSJIT_REQUIRE_SIGNATURE", "1"}, {"RMSJIT_TRUSTED_KEYS", key}}});
  };
  const CliResult unsigned_bundle = gate();
  EXPECT_EQ(unsigned_bundle.exit_code, 1);
  EXPECT_NE(unsigned_bundle.err.find("is not signed"), std::string::npos) << unsigned_bundle.err;
  ASSERT_EQ(run_cli({"sign", "--bundle", path("bundle"), "--key", path("key")}).exit_code, 0);
  EXPECT_EQ(gate().exit_code, 0);
}

TEST_F(CliWarm, TheJournalOfMissesBuildsWhatWasMissing) {
  build_two();
  const std::vector<std::string> wanted = {"--spec", "hidden=72,y=f32", "--spec",
                                           "hidden=64,residual=add"};
  EXPECT_EQ(check(wanted, "driver").exit_code, 1);
  EXPECT_EQ(read_whole(path("misses")), "hidden=72,x=bf16,y=f32\n");
  EXPECT_EQ(build({"--specs", path("misses"), "--arch", "sm_90"}).json()["summary"]["compiled"], 1);
  EXPECT_EQ(check(wanted, "driver").exit_code, 0);
}

TEST_F(CliWarm, WithoutCheckAMissIsCompiledAndKeptForTheNextStart) {
  const std::vector<std::string> wanted = {"--spec", "hidden=64", "--arch", "sm_90"};
  const CliResult first = warm(wanted);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.json()["items"][0]["origin"], "compiled");
  EXPECT_EQ(warm(wanted).json()["items"][0]["origin"], "cache");
  std::vector<std::string> gate = wanted;
  gate.push_back("--check");
  EXPECT_EQ(warm(gate).exit_code, 0);
  gate.insert(gate.end(), {"--bundle", path("cache")});
  EXPECT_EQ(warm(gate).exit_code, 0) << "a cache directory is a bundle";
}

}  // namespace
}  // namespace rmsjit
