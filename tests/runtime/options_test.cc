// SPDX-License-Identifier: Apache-2.0
// Options and variables: defaults, which one wins, and what is refused.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/runtime/options_fixture.h"

namespace rmsjit {
namespace {

const char* nothing(const char*) { return nullptr; }

TEST_F(OptionsTest, TheDefaultsAreTheDocumentedOnes) {
  const RuntimeOptions options = resolved();
  EXPECT_EQ(options.store.jit, JitMode::kOn);
  EXPECT_EQ(options.compile_in, CompileIn::kWorker);
  EXPECT_EQ(options.store.cache_max_bytes, int64_t{256} << 20);
  EXPECT_EQ(options.max_keys, 4096);
  EXPECT_EQ(options.store.lock_wait_ms, 20000);
  EXPECT_EQ(options.compiler.timeout_ms, 120000);
  EXPECT_GE(options.jobs, 1);
  EXPECT_LE(options.jobs, 8);
  EXPECT_TRUE(options.store.bundle_paths.empty());
  EXPECT_FALSE(options.store.log);
}

TEST_F(OptionsTest, EachVariableIsRead) {
  variables = {{"RMSJIT_CACHE_DIR", "/c"},        {"RMSJIT_CACHE_MAX_BYTES", "3M"},
               {"RMSJIT_BUNDLE_PATH", "/a::/b:"}, {"RMSJIT_JIT", "off"},
               {"RMSJIT_COMPILE", "inprocess"},   {"RMSJIT_NVRTC", "/n"},
               {"RMSJIT_WORKER", "/w"},           {"RMSJIT_LOG", "info"},
               {"RMSJIT_JOURNAL", "/j"}};
  const RuntimeOptions options = resolved();
  EXPECT_EQ(options.store.cache_dir, "/c");
  EXPECT_EQ(options.store.cache_max_bytes, 3 << 20);
  EXPECT_EQ(options.store.bundle_paths, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(options.store.jit, JitMode::kOff);
  EXPECT_EQ(options.compile_in, CompileIn::kInProcess);
  EXPECT_EQ(options.compiler.nvrtc, "/n");
  EXPECT_EQ(options.compiler.worker, "/w");
  EXPECT_TRUE(options.store.log);
  EXPECT_EQ(options.store.journal, "/j");
}

TEST_F(OptionsTest, OptionsWinOverVariables) {
  variables = {{"RMSJIT_CACHE_DIR", "/c"},      {"RMSJIT_CACHE_MAX_BYTES", "3"},
               {"RMSJIT_BUNDLE_PATH", "/a"},    {"RMSJIT_JIT", "off"},
               {"RMSJIT_COMPILE", "inprocess"}, {"RMSJIT_NVRTC", "/n"},
               {"RMSJIT_WORKER", "/w"}};
  given_.cache_dir = "";
  given_.cache_max_bytes = 7;
  given_.bundle_path = "/z";
  given_.jit = RMSJIT_JIT_WARN;
  given_.compile = RMSJIT_COMPILE_WORKER;
  given_.nvrtc = "/n2";
  given_.worker = "/w2";
  const RuntimeOptions options = resolved();
  EXPECT_EQ(options.store.cache_dir, "");
  EXPECT_EQ(options.store.cache_max_bytes, 7);
  EXPECT_EQ(options.store.bundle_paths, std::vector<std::string>{"/z"});
  EXPECT_EQ(options.store.jit, JitMode::kWarn);
  EXPECT_EQ(options.compile_in, CompileIn::kWorker);
  EXPECT_EQ(options.compiler.nvrtc, "/n2");
  EXPECT_EQ(options.compiler.worker, "/w2");
}

TEST_F(OptionsTest, TheCacheDirectoryFollowsTheDocumentedOrder) {
  EXPECT_EQ(resolved().store.cache_dir, "") << "no HOME";
  for (const char* home : {"", "/", "//", "home/user"}) {
    variables["HOME"] = home;
    EXPECT_EQ(resolved().store.cache_dir, "") << "HOME=" << home;
  }
  variables["HOME"] = "/home/user";
  EXPECT_EQ(resolved().store.cache_dir, "/home/user/.cache/rmsjit");
  variables["XDG_CACHE_HOME"] = "relative";
  EXPECT_EQ(resolved().store.cache_dir, "/home/user/.cache/rmsjit");
  variables["XDG_CACHE_HOME"] = "/xdg";
  EXPECT_EQ(resolved().store.cache_dir, "/xdg/rmsjit");
  variables["RMSJIT_CACHE_DIR"] = "/mine";
  EXPECT_EQ(resolved().store.cache_dir, "/mine");
  variables["RMSJIT_CACHE_DIR"] = "";
  EXPECT_EQ(resolved().store.cache_dir, "") << "said aloud: nothing on disk";
  given_.cache_dir = "here";
  EXPECT_EQ(resolved().store.cache_dir, (std::filesystem::current_path() / "here").string());
}

TEST_F(OptionsTest, AProcessThatSeesNoVariableKeepsNothingOnDisk) {
  const Result<RuntimeOptions> options = resolve_options(given_, nothing);
  ASSERT_TRUE(options.ok()) << options.message();
  EXPECT_EQ(options->store.cache_dir, "");
}

TEST_F(OptionsTest, ABadVariableIsNamedWithItsValueAndWhatIsAllowed) {
  variables = {{"RMSJIT_JIT", "maybe"}};
  expect_refused("RMSJIT_JIT=\"maybe\" is not allowed: on, warn, off");
  variables = {{"RMSJIT_COMPILE", "Worker"}};
  expect_refused("RMSJIT_COMPILE=\"Worker\" is not allowed: worker, inprocess");
  variables = {{"RMSJIT_LOG", "2"}};
  expect_refused("RMSJIT_LOG=\"2\" is not allowed: debug, info, warning");
  for (const char* bytes :
       {"many", "0", "-1", "1T", "1 M", "9999999999G", "99999999999999999999"}) {
    variables = {{"RMSJIT_CACHE_MAX_BYTES", bytes}};
    expect_refused("RMSJIT_CACHE_MAX_BYTES=\"" + std::string(bytes) + "\" is not allowed");
  }
}

TEST_F(OptionsTest, ABadOptionIsNamedWithItsValueAndWhatIsAllowed) {
  given_.jit = 4;
  expect_refused("jit=4 is not allowed: 0 .. 3");
  given_.jit = 0;
  given_.compile = -1;
  expect_refused("compile=-1 is not allowed: 0 .. 2");
  given_.compile = 0;
  given_.max_keys = -5;
  expect_refused("max_keys=-5 is not allowed");
  given_.max_keys = 0;
  given_.cache_max_bytes = -1;
  expect_refused("cache_max_bytes=-1 is not allowed");
  given_.cache_max_bytes = 0;
  given_.lock_wait_ms = -1;
  expect_refused("lock_wait_ms=-1 is not allowed");
  given_.lock_wait_ms = 0;
  given_.compile_jobs = -2;
  expect_refused("compile_jobs=-2 is not allowed");
  given_.compile_jobs = 0;
  given_.compile_timeout_ms = -2;
  expect_refused("compile_timeout_ms=-2 is not allowed");
}

TEST_F(OptionsTest, ARequiredSignatureNeedsKeysAndIsNeverMisread) {
  const std::string key(64, 'a'), other(64, 'b');
  for (const char* value : {"yes", "true", "ON", "2"}) {
    variables = {{"RMSJIT_REQUIRE_SIGNATURE", value}, {"RMSJIT_TRUSTED_KEYS", key}};
    expect_refused(std::string("RMSJIT_REQUIRE_SIGNATURE=\"") + value + "\"");
  }
  for (const char* value : {"1", "on"}) {
    variables = {{"RMSJIT_REQUIRE_SIGNATURE", value}};
    expect_refused("trusted_keys");
    variables["RMSJIT_TRUSTED_KEYS"] = key + "," + other;
    const Result<RuntimeOptions> options = resolve_options(given_, lookup);
    ASSERT_TRUE(options.ok()) << options.message();
    EXPECT_TRUE(options->store.require_signature);
    ASSERT_EQ(options->store.trusted_keys.size(), 2u);
    EXPECT_EQ(options->store.trusted_keys[1].hex(), other);
  }
  given_.require_signature = RMSJIT_SIGNATURE_OFF;
  EXPECT_FALSE(resolve_options(given_, lookup)->store.require_signature) << "the option wins";
  given_.require_signature = 3;
  expect_refused("require_signature=3");
  given_.require_signature = 0;
  for (const char* bad : {"abc", ",", "A", " "}) {
    variables = {{"RMSJIT_TRUSTED_KEYS", bad}};
    expect_refused("public key");
  }
  variables = {{"RMSJIT_TRUSTED_KEYS", key + ","}};
  expect_refused("public key");
}

}  // namespace
}  // namespace rmsjit
