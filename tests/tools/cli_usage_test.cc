// SPDX-License-Identifier: Apache-2.0
// What a user may get wrong: exit code 2, one clear sentence on stderr, nothing on stdout and
// nothing on disk. And what needs no compiler: keys, help, doctor.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "rmsjit/version.h"
#include "tests/tools/run_cli.h"

namespace rmsjit {
namespace {

namespace fs = std::filesystem;

class CliUsage : public CliTest {
 protected:
  // `build ARGUMENTS --out DIR` is bad usage and says `sentence`.
  void expect_refused(std::vector<std::string> arguments, const std::string& sentence) {
    arguments.insert(arguments.begin(), "build");
    arguments.insert(arguments.end(), {"--out", path("out")});
    const CliResult result = run_cli(arguments);
    std::string line;
    for (const std::string& argument : arguments) line += argument.substr(0, 80) + " ";
    EXPECT_EQ(result.exit_code, 2) << line << "\n" << result.err;
    EXPECT_EQ(result.out, "") << line;
    EXPECT_NE(result.err.find(sentence), std::string::npos) << line << "\n" << result.err;
    EXPECT_FALSE(fs::exists(path("out"))) << line;
  }
  void expect_spec_refused(const std::string& spec, const std::string& sentence) {
    expect_refused({"--spec", spec, "--arch", "sm_90"}, sentence);
  }
  void expect_config_refused(const std::string& text, const std::string& sentence) {
    expect_refused({"--model", write("config.json", text), "--arch", "sm_90"}, sentence);
  }
};

TEST_F(CliUsage, HiddenOutsideItsRange) {
  expect_spec_refused("hidden=0", "hidden=0 is out of range: 1 .. 262144");
  expect_spec_refused("hidden=-1", "hidden=-1 is out of range: 1 .. 262144");
  expect_spec_refused("hidden=262145", "hidden=262145 is out of range: 1 .. 262144");
  expect_spec_refused("hidden=268435456", "hidden=268435456 is out of range: 1 .. 262144");
  expect_spec_refused("hidden=", "hidden=\"\" is not a whole number");
  expect_spec_refused("hidden=many", "hidden=\"many\" is not a whole number");
}

TEST_F(CliUsage, SpecNamesAndValues) {
  expect_spec_refused("hidden=64,colour=red", "spec field \"colour\" is not known");
  expect_spec_refused("hidden=64,x=f16,x=f16", "spec field \"x\" is given twice");
  expect_spec_refused("hidden=64,x=fp8", "x=\"fp8\" is not allowed: use bf16, f16, f32");
  expect_spec_refused("hidden=64,add_round=unrounded", "has no effect without residual=add");
  expect_spec_refused("x=bf16", "has no hidden");
  expect_spec_refused("", "where name=value belongs");
}

TEST_F(CliUsage, Targets) {
  const std::vector<std::string> spec = {"--spec", "hidden=64"};
  const auto with = [&](const std::string& arch) {
    std::vector<std::string> arguments = spec;
    arguments.insert(arguments.end(), {"--arch", arch});
    return arguments;
  };
  expect_refused(with("sm_75"), "target=sm_75 is too old");
  expect_refused(with("sm_91"), "target=\"sm_91\" is not known: use sm_80");
  expect_refused(with("sm_90,gfx942"), "target=\"gfx942\" is not known");
  expect_refused(spec, "no --arch is given");
  expect_refused({"--spec", "hidden=64,pdl=on", "--arch", "sm_90,sm_80"},
                 "pdl=on needs sm_90 or newer, given target=sm_80: use pdl=off or pdl=auto");
}

TEST_F(CliUsage, Options) {
  expect_refused({"--arch", "sm_90"}, "no source of specs is given");
  expect_refused({"--spec", "hidden=64", "--arch", "sm_90", "--jobs", "-1"}, "--jobs -1");
  expect_refused({"--spec", "hidden=64", "--arch", "sm_90", "--jobs", "lots"}, "--jobs");
  expect_refused({"--spec", "hidden=64", "--arch", "sm_90", "--like", "tensorflow"},
                 "rmsnorm-aot: --like: tensorflow not in {rmsjit,");
  expect_refused({"--spec", "hidden=64", "--arch", "sm_90", "--set", "x"}, "--set field=value");
  expect_refused({"--spec", "hidden=64", "--arch", "sm_90", "--set", "x=f8"}, "is not allowed");
  expect_refused({"--spec", "hidden=64", "--arch", "sm_90", "--frobnicate"},
                 "\"--frobnicate\" is not known: use --help, --model, --specs, --spec");
  expect_refused({"--model", model("llama-3.1-8b"), "--arch", "sm_90", "--tp", "0"}, "--tp 0");
  expect_refused({"--model", model("olmo-2-7b"), "--arch", "sm_90", "--tp", "3"},
                 "num_attention_heads=32 cannot be divided by tensor_parallel=3");
  expect_refused({"--model", model("llama-3.1-8b"), "--arch", "sm_90", "--set", "hidden=64"},
                 "hidden cannot be set for a model");
}

TEST_F(CliUsage, Configs) {
  expect_config_refused("", "config is empty");
  expect_config_refused("<html>", "config is not JSON: byte 1");
  expect_config_refused(std::string(200000, '['), "nests 200000 levels deep");
  expect_config_refused(R"({"model_type":"llama"})", "config has no hidden_size");
  expect_config_refused(R"({"model_type":"llama","hidden_size":"4096"})",
                        "hidden_size=\"4096\" is not allowed: give a whole number, 1 .. 262144");
  expect_config_refused(R"({"model_type":"llama","hidden_size":64,"rms_norm_eps":"1e-5"})",
                        "rms_norm_eps=\"1e-5\" is not allowed: give a number, 0 or more");
  expect_config_refused(R"({"model_type":"llama","hidden_size":64,"rms_norm_eps":-1e-5})",
                        "rms_norm_eps=-1e-05 is not allowed: give a number, 0 or more");
  expect_config_refused(R"({"model_type":"mamba2","hidden_size":64})", "family is not known");
  expect_refused({"--model", path("nowhere.json"), "--arch", "sm_90"}, "nowhere.json: cannot be");
}

TEST_F(CliUsage, SpecFiles) {
  const auto expect_file_refused = [&](const std::string& text, const std::string& sentence) {
    expect_refused({"--specs", write("specs", text), "--arch", "sm_90"}, sentence);
  };
  expect_file_refused("hidden=64\n# fine\n\nhidden=64,x=f8\n", "line 4: x=\"f8\" is not allowed");
  expect_file_refused("# nothing\n", "has no spec in it");
  expect_file_refused("{\"schema_version\":1}", "neither the output of keys --json");
  expect_file_refused(R"({"keys":[{"spec":{"hidden":64}},{"spec":{"hidden":0}}]})",
                      "keys[1]: hidden=0 is out of range");
  expect_file_refused(R"({"keys":[{"roles":[]}]})", "keys[0]: has no \"spec\" object");
  expect_file_refused("{" + std::string(200000, '['), "neither the output of keys --json");
  expect_refused({"--specs", path("nowhere"), "--arch", "sm_90"}, "nowhere: cannot be read");
}

TEST_F(CliUsage, CommandsThatDoNotExistOrLackAnArgument) {
  const CliResult unknown = run_cli({"frobnicate"});
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_NE(unknown.err.find("command \"frobnicate\" is not known: use build, keys, list"),
            std::string::npos)
      << unknown.err;
  EXPECT_EQ(run_cli({}).exit_code, 2);
  EXPECT_EQ(run_cli({"compile"}).exit_code, 2);
  EXPECT_EQ(run_cli({"keys"}).exit_code, 2);
  EXPECT_EQ(run_cli({"show"}).exit_code, 2);
  EXPECT_EQ(run_cli({"prune"}).exit_code, 2);
  EXPECT_EQ(run_cli({"prune", "--max-bytes", "-5"}).exit_code, 2);
  EXPECT_EQ(run_cli({"prune", "--max-bytes", "5", "--min-age", "-5"}).exit_code, 2);
  EXPECT_EQ(run_cli({"build", "--spec", "hidden=64", "--arch", "sm_90"}).exit_code, 2);
}

TEST_F(CliUsage, EveryCommandsHelpFitsAScreenAndEndsWithAnExample) {
  EXPECT_EQ(run_cli({"--version"}).out, std::string(RMSJIT_VERSION) + "\n");
  for (const char* command : {"", "build", "keys", "list", "show", "verify", "explain", "extract",
                              "prune", "clear", "doctor"}) {
    std::vector<std::string> arguments = {"--help"};
    if (command[0] != '\0') arguments.insert(arguments.begin(), command);
    const CliResult help = run_cli(arguments);
    EXPECT_EQ(help.exit_code, 0) << command;
    EXPECT_LE(std::count(help.out.begin(), help.out.end(), '\n'), 34) << help.out;
    EXPECT_NE(help.out.find("Example:\n  rmsnorm-aot"), std::string::npos) << command;
  }
}

TEST_F(CliUsage, DirectoriesThatAreNotThereAreExitThree) {
  for (const char* command : {"list", "verify", "clear"}) {
    const CliResult result = run_cli({command, "--bundle", path("nowhere")});
    EXPECT_EQ(result.exit_code, 3) << command;
    EXPECT_NE(result.err.find("nowhere"), std::string::npos) << result.err;
    EXPECT_FALSE(fs::exists(path("nowhere"))) << command;
  }
  EXPECT_EQ(run_cli({"show", "abcd", "--bundle", path("nowhere")}).exit_code, 3);
  EXPECT_EQ(run_cli({"prune", "--max-bytes", "1", "--bundle", path("nowhere")}).exit_code, 3);
  const std::vector<std::string> explain = {"explain", "--spec",   "hidden=64",    "--arch",
                                            "sm_90",   "--bundle", path("nowhere")};
  EXPECT_EQ(run_cli(explain).exit_code, 3);
}

TEST_F(CliUsage, NoNvrtcIsExitThreeAndSaysWhereItLooked) {
  const CliResult result =
      run_cli({"build", "--spec", "hidden=64", "--arch", "sm_90", "--out", path("out")},
              {.environment = {{"RMSJIT_NVRTC", path("no/libnvrtc.so")}}});
  EXPECT_EQ(result.exit_code, 3) << result.err;
  EXPECT_NE(result.err.find(path("no/libnvrtc.so")), std::string::npos) << result.err;
  EXPECT_FALSE(fs::exists(path("out")));
}

TEST_F(CliUsage, KeysPrintsTheKeySetAsTextAndAsJson) {
  const CliResult text = run_cli({"keys", "--model", model("llama-3.1-8b")});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_NE(text.out.find("hidden=4096,x=bf16,residual=add,pdl=auto"), std::string::npos);
  const CliResult json =
      run_cli({"keys", "--model", model("deepseek-v3"), "--like", "flashinfer", "--json"});
  EXPECT_EQ(json.exit_code, 0);
  EXPECT_EQ(json.err, "");
  const nlohmann::json root = json.json();
  EXPECT_EQ(root["schema_version"], 1);
  ASSERT_EQ(root["keys"].size(), 4u);
  EXPECT_EQ(root["keys"][1]["spec"]["add_round"], "unrounded");
  EXPECT_EQ(root["keys"][2]["roles"], nlohmann::json({"latent_q"}));
}

TEST_F(CliUsage, AFolderWithAConfigIsAModel) {
  write("config.json", R"({"model_type":"llama","hidden_size":64,"num_hidden_layers":1})");
  const CliResult result = run_cli({"keys", "--model", path("."), "--set", "x=f16", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.json()["keys"][0]["spec_text"], "hidden=64,x=f16,pdl=auto");
}

TEST_F(CliUsage, DoctorListsLayersInOrderAndVariables) {
  const CliResult result =
      run_cli({"doctor", "--json"}, {.environment = {{"RMSJIT_BUNDLE_PATH", "/one:/two"},
                                                     {"RMSJIT_CACHE_DIR", path("cache")},
                                                     {"RMSJIT_JIT", "off"}}});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const nlohmann::json report = result.json();
  ASSERT_EQ(report["layers"].size(), 3u);
  EXPECT_EQ(report["layers"][0]["directory"], "/one");
  EXPECT_EQ(report["layers"][1]["kind"], "bundle");
  EXPECT_EQ(report["layers"][2]["directory"], path("cache"));
  EXPECT_EQ(report["layers"][2]["kind"], "cache");
  EXPECT_EQ(report["variables"]["RMSJIT_JIT"], "off");
  EXPECT_NE(report["on_a_miss"].get<std::string>().find("RMSJIT_JIT=off"), std::string::npos);
  EXPECT_EQ(run_cli({"doctor"}).exit_code, 0);
  EXPECT_FALSE(fs::exists(path("cache")));
}

// A copy that runs as its owner, as a setuid program would.
TEST_F(CliUsage, APrivilegedCommandIgnoresEveryVariable) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make a program of another user";
  const std::string copy = path("rmsnorm-aot");
  fs::copy_file(RMSJIT_CLI, copy);
  fs::permissions(path(""), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
  const CliSetup setup{.environment = {{"RMSJIT_CACHE_DIR", path("planted")},
                                       {"RMSJIT_BUNDLE_PATH", path("planted")},
                                       {"RMSJIT_JIT", "nonsense"}}};
  const auto layers = [&] { return run_program(copy, {"doctor", "--json"}, setup).out; };
  const std::string ordinary = layers();
  EXPECT_NE(ordinary.find("RMSJIT_JIT=\\\"nonsense\\\""), std::string::npos) << ordinary;
  constexpr uid_t kOther = 65534;
  ASSERT_EQ(chown(copy.c_str(), kOther, kOther), 0);
  ASSERT_EQ(chmod(copy.c_str(), 04755), 0);
  const nlohmann::json report = nlohmann::json::parse(layers(), nullptr, false);
  ASSERT_TRUE(report.is_object());
  EXPECT_EQ(report["layers"].dump().find("planted"), std::string::npos) << report["layers"];
  EXPECT_EQ(report["on_a_miss"].get<std::string>().find("nonsense"), std::string::npos);
}

}  // namespace
}  // namespace rmsjit
