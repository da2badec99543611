// SPDX-License-Identifier: Apache-2.0
// build, verify and the commands that look into what was built, as a user runs them. Needs NVRTC,
// no GPU.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <thread>

#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CliBuild : public CliBuildTest {
 protected:
  CliResult build(std::vector<std::string> arguments, const CliSetup& setup = {}) {
    arguments.insert(arguments.begin(), {"build", "--json", "--out", path("bundle")});
    return run_cli(arguments, setup);
  }
  // Two small kernels.
  CliResult build_two() {
    return build({"--spec", "hidden=64", "--spec", "hidden=64,residual=add", "--arch", "sm_90"});
  }
  CliResult verify(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), {"verify", "--json", "--bundle", path("bundle")});
    return run_cli(arguments);
  }
  std::string an_entry_file() {
    for (const auto& [name, bytes] : files_below(path("bundle"))) {
      if (name.find("v1/obj/") == 0) return path("bundle/" + name);
    }
    return "";
  }
};

TEST_F(CliBuild, ASecondBuildIsAllHits) {
  const CliResult first = build_two();
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_EQ(first.json()["summary"]["compiled"], 2);
  EXPECT_EQ(first.json()["summary"]["hits"], 0);
  const auto files = files_below(path("bundle"));
  const CliResult second = build_two();
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_EQ(second.json()["summary"]["compiled"], 0);
  EXPECT_EQ(second.json()["summary"]["hits"], 2);
  EXPECT_EQ(second.json()["items"][0]["origin"], "cache");
  EXPECT_EQ(files_below(path("bundle")), files);
}

TEST_F(CliBuild, TheJsonIsAsDocumented) {
  const json root = build_two().json();
  EXPECT_EQ(root["schema_version"], 1);
  ASSERT_EQ(root["items"].size(), 2u);
  const json& item = root["items"][1];
  EXPECT_EQ(item["digest"].get<std::string>().size(), 64u);
  EXPECT_EQ(item["spec"]["hidden"], 64);
  EXPECT_EQ(item["spec"]["residual"], "add");
  EXPECT_EQ(item["spec_text"], "hidden=64,x=bf16,residual=add");
  EXPECT_EQ(item["arch"], "sm_90");
  EXPECT_EQ(item["status"], "ok");
  EXPECT_EQ(item["origin"], "compiled");
  EXPECT_GT(item["compile_ms"].get<double>(), 0);
  EXPECT_GT(item["registers"].get<int>(), 0);
  EXPECT_EQ(item["spill_bytes"], 0);
  EXPECT_GT(item["cubin_bytes"].get<int>(), 1000);
  EXPECT_TRUE(item["error"].is_null());
  EXPECT_EQ(root["summary"]["total"], 2);
  EXPECT_EQ(root["summary"]["failed"], 0);
  EXPECT_GT(root["summary"]["elapsed_ms"].get<double>(), 0);
}

TEST_F(CliBuild, EqualInputsGiveEqualFilesFromAnyFolder) {
  fs::create_directories(path("a/deep"));
  const std::vector<std::string> arguments = {"build",  "--quiet", "--spec", "hidden=72",
                                              "--arch", "sm_80",   "--out",  "bundle"};
  ASSERT_EQ(run_cli(arguments, {.folder = path("a")}).exit_code, 0);
  ASSERT_EQ(run_cli(arguments, {.folder = path("a/deep")}).exit_code, 0);
  EXPECT_EQ(files_below(path("a/bundle/v1/obj")).size(), 1u);
  EXPECT_EQ(files_below(path("a/bundle/v1/obj")), files_below(path("a/deep/bundle/v1/obj")));
}

TEST_F(CliBuild, SourcesAddUpAndEachKeyIsBuiltOnce) {
  const std::string config =
      write("config.json", R"({"model_type":"llama","hidden_size":64,"num_hidden_layers":2})");
  const std::string keys = write("keys.json", run_cli({"keys", "--model", config, "--json"}).out);
  const std::string texts = write("specs.txt", "hidden=64,pdl=auto  # the first layer\n\n");
  // pdl=auto is off on sm_80, so the plain text is the model's first key too.
  const CliResult result = build({"--model", config, "--specs", keys, "--specs", texts, "--spec",
                                  "hidden=64", "--spec", "hidden=80", "--arch", "sm_80"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["summary"]["total"], 3);
  EXPECT_EQ(verify({"--specs", keys, "--arch", "sm_80"}).exit_code, 0);
}

TEST_F(CliBuild, VerifyListsWhatWouldMiss) {
  build_two();
  const CliResult whole = verify({"--spec", "hidden=64", "--arch", "sm_90"});
  EXPECT_EQ(whole.exit_code, 0) << whole.out;
  EXPECT_EQ(whole.json()["summary"]["ok"], 2);
  const CliResult missing = verify({"--spec", "hidden=64", "--arch", "sm_80,sm_90"});
  EXPECT_EQ(missing.exit_code, 1);
  const json root = missing.json();
  EXPECT_EQ(root["summary"], json::parse(R"({"total":3,"ok":2,"missing":1,"damaged":0,
                                             "unreadable":0})"));
  EXPECT_EQ(root["items"][2]["status"], "missing");
  EXPECT_EQ(root["items"][2]["arch"], "sm_80");
  EXPECT_EQ(root["items"][2]["spec"]["hidden"], 64);
}

TEST_F(CliBuild, AFlippedByteIsDamageThatVerifyReportsAndBuildRepairs) {
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

TEST_F(CliBuild, DryRunSaysWhatWouldBeCompiledAndMakesNothing) {
  const CliResult empty = build({"--spec", "hidden=64", "--arch", "sm_90", "--dry-run"});
  EXPECT_EQ(empty.exit_code, 0) << empty.err;
  EXPECT_EQ(empty.json()["summary"]["would_compile"], 1);
  EXPECT_FALSE(fs::exists(path("bundle")));
  build({"--spec", "hidden=64", "--arch", "sm_90"});
  const CliResult half =
      build({"--spec", "hidden=64", "--spec", "hidden=72", "--arch", "sm_90", "--dry-run"});
  EXPECT_EQ(half.json()["summary"]["would_compile"], 1);
  EXPECT_EQ(half.json()["summary"]["hits"], 1);
}

TEST_F(CliBuild, RefreshCompilesAgain) {
  build_two();
  const auto files = files_below(path("bundle"));
  const CliResult again = build({"--spec", "hidden=64", "--arch", "sm_90", "--refresh"});
  EXPECT_EQ(again.json()["summary"]["compiled"], 1);
  EXPECT_EQ(files_below(path("bundle")), files);
}

TEST_F(CliBuild, TheUsersCacheIsNeitherReadNorWritten) {
  const CliSetup setup{.environment = {{"RMSJIT_CACHE_DIR", path("cache")}}};
  const CliResult result = build({"--spec", "hidden=64", "--arch", "sm_90"}, setup);
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_FALSE(fs::exists(path("cache")));
}

TEST_F(CliBuild, AnOutThatCannotBeMadeIsExitThree) {
  write("bundle", "a file where the folder belongs");
  const CliResult result = build({"--spec", "hidden=64", "--arch", "sm_90"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("--out " + path("bundle")), std::string::npos) << result.err;
  EXPECT_EQ(result.out, "");
}

TEST_F(CliBuild, AnEntryThatCannotBeWrittenIsThatItemsFailure) {
  const auto no_room = [] {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2048, 2048};
    setrlimit(RLIMIT_FSIZE, &limit);
  };
  const CliResult result = build({"--spec", "hidden=64", "--arch", "sm_90"}, {.in_child = no_room});
  EXPECT_EQ(result.exit_code, 1) << result.err;
  const json root = result.json();
  EXPECT_EQ(root["summary"]["failed"], 1);
  EXPECT_EQ(root["items"][0]["status"], "failed");
  EXPECT_NE(root["items"][0]["error"].get<std::string>().find(path("bundle")), std::string::npos);
  EXPECT_TRUE(files_below(path("bundle/v1/tmp")).empty());
  EXPECT_TRUE(files_below(path("bundle/v1/obj")).empty());
}

TEST_F(CliBuild, AnInterruptLeavesNoPartialFile) {
  const auto interrupt_after_first_entry = [&](pid_t child) {
    while (files_below(path("bundle/v1/obj")).empty()) std::this_thread::yield();
    kill(child, SIGINT);
  };
  const CliResult result =
      build({"--model", model("deepseek-v3"), "--arch", "sm_80,sm_90,sm_100,sm_120", "--jobs", "1"},
            {.while_running = interrupt_after_first_entry});
  EXPECT_EQ(result.exit_code, 1) << result.signal << result.err;
  EXPECT_GT(result.json()["summary"]["failed"].get<int>(), 0);
  EXPECT_NE(result.err.find("stopped by signal 2"), std::string::npos) << result.err;
  EXPECT_TRUE(files_below(path("bundle/v1/tmp")).empty());
  const CliResult check = verify();
  EXPECT_EQ(check.exit_code, 0) << check.out;
  EXPECT_GE(check.json()["summary"]["ok"].get<int>(), 1);
}

TEST_F(CliBuild, ListShowAndExtractLookIntoTheBundle) {
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

TEST_F(CliBuild, ExplainNamesTheFirstFieldThatDiffers) {
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

TEST_F(CliBuild, PruneAndClearRemoveEntriesAndDryRunsRemoveNone) {
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
  EXPECT_EQ(run({"prune", "--max-bytes", std::to_string(fs::file_size(an_entry_file()) * 3 / 2)}),
            1);
  EXPECT_EQ(run({"clear", "--dry-run"}), 1);
  EXPECT_EQ(count(), 1u);
  EXPECT_EQ(run({"clear"}), 1);
  EXPECT_EQ(count(), 0u);
}

TEST_F(CliBuild, TextOutputIsATableAndQuietSilencesTheSummary) {
  const CliResult result = run_cli(
      {"build", "--spec", "hidden=64", "--arch", "sm_90", "--out", path("bundle"), "--quiet"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "");
  EXPECT_EQ(result.out.find("spec"), 0u) << result.out;
  EXPECT_NE(result.out.find("hidden=64,x=bf16  sm_90"), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find('\033'), std::string::npos) << "colour without a terminal";
}

}  // namespace
}  // namespace rmsjit
