// SPDX-License-Identifier: Apache-2.0
// rmsnorm-aot build as a user runs it. Needs NVRTC, no GPU.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <thread>

#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class CliBuild : public CliBuildTest {};

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

TEST_F(CliBuild, AWorkerAndTheCommandItselfCompileTheSameBytes) {
  const auto build_in = [this](const std::string& where, const std::string& out) {
    const CliSetup setup{.environment = {{"RMSJIT_COMPILE", where}}};
    const CliResult result = run_cli({"build", "--spec", "hidden=64", "--spec", "hidden=20000",
                                      "--arch", "sm_80,sm_90", "--jobs", "2", "--out", path(out)},
                                     setup);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_EQ(result.err.find("worker"), std::string::npos) << result.err;
    return files_below(path(out + "/v1/obj"));
  };
  const auto files = build_in("worker", "one");
  EXPECT_EQ(files.size(), 4u);
  EXPECT_EQ(files, build_in("inprocess", "other"));
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
  EXPECT_NE(result.err.find("stopped by signal 2: "), std::string::npos) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 2) << result.err;
  EXPECT_TRUE(files_below(path("bundle/v1/tmp")).empty());
  const CliResult check = verify();
  EXPECT_EQ(check.exit_code, 0) << check.out;
  EXPECT_GE(check.json()["summary"]["ok"].get<int>(), 1);
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
