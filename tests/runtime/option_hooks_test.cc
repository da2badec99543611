// SPDX-License-Identifier: Apache-2.0
// What a host registers in its options: callbacks, storage, log.
#include <gtest/gtest.h>

#include <string>

#include "tests/runtime/options_fixture.h"

namespace rmsjit {
namespace {

TEST_F(OptionsTest, CallbacksReceiveWhatTheCallerRegistered) {
  struct Seen {
    int32_t level = -1;
    std::string text;
    double ms = 0;
  } seen;
  given_.log_user = given_.on_compile_user = &seen;
  given_.log = [](void* user, int32_t level, const char* message) {
    static_cast<Seen*>(user)->level = level;
    static_cast<Seen*>(user)->text = message;
  };
  given_.on_compile = [](void* user, const char* spec, const char* target, const char* reason,
                         double ms) {
    static_cast<Seen*>(user)->text = std::string(spec) + "|" + target + "|" + reason;
    static_cast<Seen*>(user)->ms = ms;
  };
  const RuntimeOptions options = resolved();
  options.store.log(LogLevel::kWarning, "a warning");
  EXPECT_EQ(seen.level, RMSJIT_LOG_WARNING);
  EXPECT_EQ(seen.text, "a warning");
  NormSpec spec;
  spec.hidden = 64;
  options.store.on_compile(*KernelId::make(spec, {90, false}), "why", 2.5);
  EXPECT_EQ(seen.text, "hidden=64,x=bf16|sm_90|why");
  EXPECT_EQ(seen.ms, 2.5);
}

TEST_F(OptionsTest, StorageNeedsBothFunctions) {
  rmsjit_storage storage{};
  given_.storage = &storage;
  expect_refused("storage.struct_size=0 is not a size");
  storage.struct_size = sizeof storage;
  expect_refused("storage.get is null");
  storage.get = [](void*, const char* key, rmsjit_storage_sink give, void* sink) {
    if (std::string(key) == "held") give(sink, "a\0b", 3);
  };
  expect_refused("storage.put is null");
  storage.put = [](void* user, const char*, const void*, size_t size) {
    *static_cast<size_t*>(user) = size;
    return size == 5 ? 0 : 28;
  };
  size_t size = 0;
  storage.user = &size;
  const RuntimeOptions options = resolved();
  EXPECT_EQ(options.store.storage.get("held"), std::string("a\0b", 3));
  EXPECT_EQ(options.store.storage.get("other"), std::nullopt);
  EXPECT_TRUE(options.store.storage.put("key", "12345"));
  EXPECT_EQ(size, 5u);
  EXPECT_FALSE(options.store.storage.put("key", "1234"));
}

TEST_F(OptionsTest, TheTraceCallbackGetsPhaseNameAndSpec) {
  std::string seen;
  given_.trace_user = &seen;
  given_.trace = [](void* user, int32_t phase, const char* what, const char* text) {
    *static_cast<std::string*>(user) += std::to_string(phase) + what + " " + text + ";";
  };
  const RuntimeOptions options = resolved();
  NormSpec spec;
  spec.hidden = 64;
  { const TraceRange range(options.store.trace, "load", spec); }
  EXPECT_EQ(seen, "0load hidden=64,x=bf16;1load hidden=64,x=bf16;");
}

TEST_F(OptionsTest, TheLogOfTheVariableGoesToStderrFromItsLevelOn) {
  variables = {{"RMSJIT_LOG", "warning"}};
  const RuntimeOptions options = resolved();
  ::testing::internal::CaptureStderr();
  options.store.log(LogLevel::kInfo, "quiet");
  options.store.log(LogLevel::kWarning, "loud");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "rmsjit: warning: loud\n");
}

}  // namespace
}  // namespace rmsjit
