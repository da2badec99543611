// SPDX-License-Identifier: Apache-2.0
// Which image serves a device: targets, PTX, images that the driver refuses, devices not served.
#include <gtest/gtest.h>

#include <string>

#include "tests/runtime/runtime_fixture.h"

namespace rmsjit {
namespace {

using namespace stub;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST_F(RuntimeTest, AnIntactEntryThatTheDriverRefusesIsCountedAndCompiledInMemory) {
  make_runtime(on_disk());
  prepared("hidden=64");
  RuntimeCore& runtime = make_runtime(on_disk());
  stub_.driver->refuse_images = 1;
  rmsjit_kernel_info info{};
  prepared("hidden=64").describe(info);
  EXPECT_STREQ(info.origin, "compiled");
  EXPECT_EQ(runtime.store().counters().refused, 1u);
  EXPECT_EQ(runtime.store().counters().damaged, 0u);
  EXPECT_EQ(log_.compiles, 2);
  EXPECT_EQ(warnings_.size(), 1u);
  make_runtime(on_disk());
  prepared("hidden=64").describe(info);
  EXPECT_STREQ(info.origin, "cache") << "the entry was left in place";
}

TEST_F(RuntimeTest, ACompiledImageThatTheDriverRefusesIsATypedErrorAndNoLoop) {
  make_runtime(on_disk());
  stub_.driver->refuse_images = 100;
  const auto failed = runtime_->prepare(spec_of("hidden=64"), 0);
  EXPECT_EQ(failed.code(), StatusCode::kUnsupported);
  EXPECT_TRUE(contains(failed.message(), "CUDA_ERROR_INVALID_IMAGE")) << failed.message();
  EXPECT_EQ(calls(kcuModuleLoadData), 1);
}

TEST_F(RuntimeTest, TheTargetIsThatOfTheDeviceAndNotOfTheFirst) {
  stub_.driver->device_count = 4;
  make_runtime();
  rmsjit_kernel_info info{};
  prepared("hidden=64", 2).describe(info);
  EXPECT_STREQ(info.target, "sm_86");
  prepared("hidden=64", 0).describe(info);
  EXPECT_STREQ(info.target, "sm_90");
}

TEST_F(RuntimeTest, WithoutCompilingALowerMinorServesAndIsSaidOnce) {
  stub_.driver->device_count = 4;
  make_runtime(on_disk());
  prepared("hidden=64", 3);  // sm_80
  prepared("hidden=65", 3);
  RuntimeOptions options = on_disk();
  options.store.jit = JitMode::kOff;
  make_runtime(options);
  rmsjit_kernel_info info{};
  prepared("hidden=64", 2).describe(info);  // sm_86
  EXPECT_STREQ(info.target, "sm_80");
  prepared("hidden=65", 2);
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_TRUE(contains(warnings_[0], "no image for sm_86")) << warnings_[0];
  EXPECT_EQ(runtime_->prepare(spec_of("hidden=64"), 0).code(), StatusCode::kJitDisabled)
      << "another major";
}

TEST_F(RuntimeTest, WithCompilingTheExactTargetIsCompiled) {
  stub_.driver->device_count = 4;
  make_runtime(on_disk());
  prepared("hidden=64", 3);
  rmsjit_kernel_info info{};
  prepared("hidden=64", 2).describe(info);
  EXPECT_STREQ(info.target, "sm_86");
  EXPECT_EQ(log_.compiles, 2);
}

TEST_F(RuntimeTest, AGpuNewerThanTheCompilerGetsPtxOfTheHighestTargetSaidOnce) {
  stub_.driver->sm[0] = 121;  // the fake compiler knows sm_80, sm_86 and sm_90
  hook_ = [](const CompileRequest& request) -> Status {
    if (request.target_name == "sm_121") return {StatusCode::kUnsupported, "unknown target"};
    return {};
  };
  make_runtime();
  rmsjit_kernel_info info{};
  prepared("hidden=64").describe(info);
  EXPECT_STREQ(info.target, "compute_90");
  prepared("hidden=65").describe(info);
  EXPECT_STREQ(info.target, "compute_90");
  ASSERT_EQ(warnings_.size(), 1u);
  EXPECT_TRUE(contains(warnings_[0], "sm_121 is newer than NVRTC 13.0")) << warnings_[0];
}

TEST_F(RuntimeTest, DevicesThatAreNotThereOrTooOldAreNamed) {
  stub_.driver->device_count = 4;
  stub_.driver->sm[3] = 75;
  make_runtime();
  const auto absent = runtime_->prepare(spec_of("hidden=64"), 4);
  EXPECT_EQ(absent.code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(absent.message(), "device=4 is not there: 0 .. 3");
  EXPECT_EQ(runtime_->prepare(spec_of("hidden=64"), -1).code(), StatusCode::kInvalidArgument);
  const auto old = runtime_->prepare(spec_of("hidden=64"), 3);
  EXPECT_EQ(old.code(), StatusCode::kUnsupported);
  EXPECT_TRUE(contains(old.message(), "device=3 is sm_75: sm_80 or newer")) << old.message();
  stub_.driver->sm[2] = 80;
  const auto pdl = runtime_->prepare(spec_of("hidden=64,pdl=on"), 2);
  EXPECT_EQ(pdl.code(), StatusCode::kUnsupported) << pdl.message();
}

}  // namespace
}  // namespace rmsjit
