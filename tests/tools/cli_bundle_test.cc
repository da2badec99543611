// SPDX-License-Identifier: Apache-2.0
// The commands that look into a bundle: verify, list, show, extract, explain, prune, clear. Needs
// NVRTC, no GPU.
#include <gtest/gtest.h>

#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CliBundle : public CliBuildTest {};

TEST_F(CliBundle, VerifyListsWhatWouldMiss) {
  build_two();
  const CliResult whole = verify({"--spec", "hidden=64", "--arch", "sm_90"});
  EXPECT_EQ(whole.exit_code, 0) << whole.out;
  EXPECT_EQ(whole.json()["summary"]["ok"], 2);
  const CliResult missing = verify({"--spec", "hidden=64", "--arch", "sm_80,sm_90"});
  EXPECT_EQ(missing.exit_code, 1);
  const json root = missing.json();
  EXPECT_EQ(root["summary"], json::parse(R"({"total":3,"ok":2,"missing":1,"damaged":0,
                                             "unreadable":0,"refused":0})"));
  EXPECT_EQ(root["items"][2]["status"], "missing");
  EXPECT_EQ(root["items"][2]["arch"], "sm_80");
  EXPECT_EQ(root["items"][2]["spec"]["hidden"], 64);
}

TEST_F(CliBundle, AFlippedByteIsDamageThatVerifyReportsAndBuildRepairs) {
  build_two();
  const std::string victim = an_entry_file();
  std::string bytes = read_whole(victim);
  bytes[bytes.size() / 2] ^= 1;
  write(fs::relative(victim, path("")).string(), bytes);
  const auto before = files_below(path("bundle"));
  const CliResult damaged = verify();
  EXPECT_EQ(damaged.exit_code, 1);
  EXPECT_EQ(damaged.json()["summary"]["damaged"], 1);
  EXPECT_EQ(damaged.json()["summary"]["ok"], 1);
  EXPECT_EQ(files_below(path("bundle")), before) << "verify wrote something";
  const CliResult again = build_two();
  EXPECT_EQ(again.json()["summary"]["compiled"], 1);
  EXPECT_EQ(verify().exit_code, 0);
}

TEST_F(CliBundle, ListShowAndExtractLookIntoTheBundle) {
  const std::string digest = build_two().json()["items"][0]["digest"];
  const json list = run_cli({"list", "--json", "--bundle", path("bundle")}).json();
  EXPECT_EQ(list["summary"]["total"], 2);
  EXPECT_EQ(list["items"][0]["arch"], "sm_90");
  const json shown =
      run_cli({"show", digest.substr(0, 12), "--json", "--bundle", path("bundle")}).json()["entry"];
  EXPECT_EQ(shown["digest"], digest);
  EXPECT_EQ(shown["spec_text"], "hidden=64,x=bf16");
  EXPECT_NE(shown["spec_cuh"].get<std::string>().find("struct Spec"), std::string::npos);
  EXPECT_EQ(run_cli({"show", "zz", "--bundle", path("bundle")}).exit_code, 2);
  EXPECT_EQ(run_cli({"show", "00000000", "--bundle", path("bundle")}).exit_code, 1);

  const std::vector<std::string> extract = {"extract",      digest,  "--bundle",
                                            path("bundle"), "--out", path("kernel")};
  EXPECT_EQ(run_cli(extract).exit_code, 0);
  const auto files = files_below(path("kernel"));
  EXPECT_EQ(files.at("kernel.cubin").substr(0, 4), "\177ELF");
  EXPECT_EQ(int(files.at("kernel.cubin").size()), shown["cubin_bytes"].get<int>());
  EXPECT_EQ(files.at("spec.cuh"), shown["spec_cuh"]);
  EXPECT_NE(files.at("rmsnorm.cu").find("rmsnorm_packed"), std::string::npos);
  EXPECT_NE(files.at("rebuild.txt").find("-arch=sm_90"), std::string::npos);
  EXPECT_EQ(run_cli(extract).exit_code, 3) << "the folder is there already";
}

TEST_F(CliBundle, ExplainNamesTheFirstFieldThatDiffers) {
  build_two();
  const auto explain = [&](const std::string& spec, const std::string& arch) {
    return run_cli(
        {"explain", "--json", "--spec", spec, "--arch", arch, "--bundle", path("bundle")});
  };
  const CliResult hit = explain("hidden=64", "sm_90");
  EXPECT_EQ(hit.exit_code, 0);
  EXPECT_EQ(hit.json()["items"][0]["status"], "hit");
  EXPECT_EQ(hit.json()["items"][0]["fields"].size(), 7u);
  EXPECT_TRUE(hit.json()["items"][0]["nearest"].is_null());
  const CliResult miss = explain("hidden=64,mul_round=twice", "sm_90");
  EXPECT_EQ(miss.exit_code, 1);
  const json nearest = miss.json()["items"][0]["nearest"];
  EXPECT_EQ(nearest["spec_text"], "hidden=64,x=bf16");
  EXPECT_EQ(nearest["differs"], "spec.cuh");
  EXPECT_NE(nearest["wanted"], nearest["there"]);
  EXPECT_EQ(explain("hidden=64", "sm_89").json()["items"][0]["nearest"]["arch"], "sm_90");
  const CliResult text =
      run_cli({"explain", "--spec", "hidden=72", "--arch", "sm_90", "--bundle", path("bundle")});
  EXPECT_NE(text.out.find("differs first in spec.cuh"), std::string::npos) << text.out;
}

TEST_F(CliBundle, PruneAndClearRemoveEntriesAndDryRunsRemoveNone) {
  build_two();
  const auto count = [&] { return files_below(path("bundle/v1/obj")).size(); };
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--json", "--bundle", path("bundle")});
    const CliResult result = run_cli(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.json()["summary"]["entries_removed"].get<int>();
  };
  EXPECT_EQ(run({"prune", "--max-bytes", "1", "--dry-run"}), 2);
  EXPECT_EQ(count(), 2u);
  EXPECT_EQ(run({"prune", "--max-bytes", "1GB"}), 0);
  EXPECT_EQ(run({"prune", "--max-bytes", "1", "--min-age", "3600"}), 0);
  size_t both = 0;
  for (const auto& [name, content] : files_below(path("bundle/v1/obj"))) both += content.size();
  EXPECT_EQ(run({"prune", "--max-bytes", std::to_string(both - 1)}), 1);
  EXPECT_EQ(run({"clear", "--dry-run"}), 1);
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(run({"clear"}), 1);
  EXPECT_EQ(count(), 0u);
}

}  // namespace
}  // namespace rmsjit
