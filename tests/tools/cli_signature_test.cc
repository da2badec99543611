// SPDX-License-Identifier: Apache-2.0
// keygen, sign, build on a signed bundle, and what verify and doctor say of signatures. Needs
// NVRTC, no GPU.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CliSignature : public CliBuildTest {
 protected:
  // The public key of a new secret one in path(name).
  std::string keygen(const std::string& name) {
    const CliResult made = run_cli({"keygen", "--out", path(name)});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return made.out.substr(0, made.out.find('\n'));
  }
  CliResult sign(const std::string& key) {
    return run_cli({"sign", "--json", "--bundle", path("bundle"), "--key", path(key)});
  }
};

TEST_F(CliSignature, KeygenMakesAPrivateFileAndNeverReplacesOne) {
  const std::string key = keygen("key");
  EXPECT_EQ(key.size(), 64u);
  struct stat facts {};
  ASSERT_EQ(stat(path("key").c_str(), &facts), 0);
  EXPECT_EQ(facts.st_mode & 0777, 0600u);
  const std::string before = read_whole(path("key"));
  EXPECT_EQ(before.find(key), std::string::npos) << "the secret half only";
  const CliResult again = run_cli({"keygen", "--out", path("key")});
  EXPECT_EQ(again.exit_code, 3);
  EXPECT_NE(again.err.find("File exists"), std::string::npos) << again.err;
  EXPECT_EQ(read_whole(path("key")), before);
  EXPECT_EQ(run_cli({"keygen", "--out", path("no/folder/key")}).exit_code, 3);
}

TEST_F(CliSignature, ASignedBundleVerifiesUnderItsKeyOnly) {
  build_two();
  const std::string key = keygen("key"), stranger = keygen("stranger");
  EXPECT_EQ(verify().json()["signature"], json::parse(R"({"status":"none"})"));
  EXPECT_EQ(verify({"--require-signature"}).exit_code, 1);
  const CliResult signed_now = sign("key");
  ASSERT_EQ(signed_now.exit_code, 0) << signed_now.err;
  EXPECT_EQ(signed_now.json()["entries"], 2);
  EXPECT_EQ(signed_now.json()["public_key"], key);

  const CliResult plain = verify();
  EXPECT_EQ(plain.exit_code, 0);
  EXPECT_EQ(plain.json()["signature"]["status"], "signed");
  const CliResult valid = verify({"--trusted-keys", stranger + "," + key, "--require-signature"});
  EXPECT_EQ(valid.exit_code, 0) << valid.err;
  EXPECT_EQ(valid.json()["signature"]["status"], "valid");
  EXPECT_EQ(valid.json()["signature"]["key"], key);
  const CliResult untrusted = verify({"--trusted-keys", stranger});
  EXPECT_EQ(untrusted.exit_code, 1);
  EXPECT_EQ(untrusted.json()["signature"]["status"], "untrusted");
  EXPECT_EQ(verify({"--trusted-keys", "abc"}).exit_code, 2);
}

TEST_F(CliSignature, VerifyNamesWhatIsNotAsSigned) {
  build_two();
  keygen("key");
  ASSERT_EQ(sign("key").exit_code, 0);
  // An intact entry that was not there when the bundle was signed.
  ASSERT_EQ(run_cli({"build", "--spec", "hidden=72", "--arch", "sm_90", "--out", path("other")})
                .exit_code,
            0);
  fs::copy(path("other/v1/obj"), path("bundle/v1/obj"),
           fs::copy_options::recursive | fs::copy_options::skip_existing);
  const CliResult added = verify();
  EXPECT_EQ(added.exit_code, 1);
  EXPECT_EQ(added.json()["summary"]["refused"], 1);
  EXPECT_EQ(added.json()["summary"]["ok"], 2);
  const auto files = files_below(path("other/v1/obj"));
  fs::remove(path("bundle/v1/obj/" + files.begin()->first));
  EXPECT_EQ(verify().exit_code, 0);

  fs::remove(an_entry_file());
  const CliResult taken = verify();
  EXPECT_EQ(taken.exit_code, 1);
  EXPECT_EQ(taken.json()["summary"]["missing"], 1);
}

TEST_F(CliSignature, BuildPruneAndClearLeaveASignedBundleAlone) {
  build_two();
  keygen("key");
  ASSERT_EQ(sign("key").exit_code, 0);
  const auto before = files_below(path("bundle"));
  const CliResult refused = build({"--spec", "hidden=72", "--arch", "sm_90"});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_NE(refused.err.find("--unsign"), std::string::npos) << refused.err;
  EXPECT_NE(run_cli({"clear", "--bundle", path("bundle")}).exit_code, 0);
  EXPECT_NE(run_cli({"prune", "--bundle", path("bundle"), "--max-bytes", "0"}).exit_code, 0);
  EXPECT_EQ(files_below(path("bundle")), before);

  const CliResult unsigned_now = build({"--spec", "hidden=72", "--arch", "sm_90", "--unsign"});
  EXPECT_EQ(unsigned_now.exit_code, 0) << unsigned_now.err;
  EXPECT_EQ(unsigned_now.json()["summary"]["compiled"], 1);
  EXPECT_EQ(verify().json()["signature"]["status"], "none");
  EXPECT_EQ(verify().json()["summary"]["ok"], 3);
}

TEST_F(CliSignature, SignRefusesDamageAndWhatIsNoKey) {
  build_two();
  keygen("key");
  write("text", "not a key\n");
  EXPECT_EQ(sign("text").exit_code, 2);
  EXPECT_EQ(sign("nowhere").exit_code, 2);
  EXPECT_EQ(run_cli({"sign", "--bundle", path("none"), "--key", path("key")}).exit_code, 3);
  fs::resize_file(an_entry_file(), 50);
  EXPECT_EQ(sign("key").exit_code, 1);
  EXPECT_FALSE(fs::exists(path("bundle/v1/MANIFEST")));
}

TEST_F(CliSignature, DoctorTellsOfSignaturesAndOfTheirPolicy) {
  build_two();
  const std::string key = keygen("key");
  ASSERT_EQ(sign("key").exit_code, 0);
  const CliSetup setup{.environment = {{"RMSJIT_BUNDLE_PATH", path("bundle")},
                                       {"RMSJIT_CACHE_DIR", path("cache")},
                                       {"RMSJIT_TRUSTED_KEYS", key},
                                       {"RMSJIT_REQUIRE_SIGNATURE", "1"}}};
  const json report = run_cli({"doctor", "--json"}, setup).json();
  ASSERT_EQ(report["layers"].size(), 1u) << "the local directory is not used";
  EXPECT_EQ(report["layers"][0]["signature"]["status"], "valid");
  EXPECT_NE(report["on_a_miss"].get<std::string>().find("signature"), std::string::npos);
}

}  // namespace
}  // namespace rmsjit
