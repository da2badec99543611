// SPDX-License-Identifier: Apache-2.0
// launch on the stub driver: what reaches the driver, captures and seals.
#include <gtest/gtest.h>

#include <cstring>

#include "tests/plan_search.h"
#include "tests/runtime/launch_fixture.h"

namespace rmsjit {
namespace {

using namespace stub;

TEST_F(LaunchTest, ALaunchIsOneDriverCallWithWhatTheCallerGave) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=4096");
  const CUstream stream = stream_on(kernel);
  push(kernel.where().context);
  const rmsjit_args args = args_of(4096, 7);
  stub_.driver->params_bytes = sizeof(RmsNormParams);
  stub_.driver->clear_counts();
  ASSERT_TRUE(kernel.launch(args, stream).ok());
  EXPECT_EQ(stub_.driver->total, 1);
  EXPECT_EQ(calls(kcuLaunchKernelEx), 1);
  EXPECT_STREQ(last().function, "rmsnorm_packed");
  const CUlaunchConfig& config = last().config;
  EXPECT_EQ(config.hStream, stream);
  EXPECT_EQ(config.gridDimY * config.gridDimZ * config.blockDimZ, 1u);
  EXPECT_GE(config.gridDimX * config.blockDimY, 7u);
  EXPECT_EQ(config.sharedMemBytes, 0u);
  rmsjit_kernel_info info{};
  kernel.describe(info);
  EXPECT_EQ(config.blockDimX, static_cast<unsigned>(info.threads_per_row));
  RmsNormParams params;
  std::memcpy(&params, last().params, sizeof params);
  EXPECT_EQ(params.x, args.x);
  EXPECT_EQ(params.tokens, 7u);
  EXPECT_EQ(params.eps, args.eps);
}

TEST_F(LaunchTest, FewLongRowsTakeTheEntryThatThePlanHasForThem) {
  make_runtime();
  const std::string text = spec_with(
      "", {90}, [](const Tuning& t) { return t.few && t.few.bound == 2 && !t.many; }, 8192);
  const NormSpec spec = spec_of(text);
  const Tuning tuning = launch_plan(canonical(spec, {90}), {90});
  const LoadedKernel& kernel = prepared(text);
  push(kernel.where().context);
  const int64_t most = kernel.where().facts.multiprocessors / tuning.few.cluster;
  for (const auto& [rows, entry] :
       {std::pair{int64_t{1}, "rmsnorm_few"}, std::pair{most, "rmsnorm_few"},
        std::pair{most + 1, "rmsnorm_packed"}}) {
    ASSERT_TRUE(kernel.launch(args_of(spec.hidden, rows), stream_on(kernel)).ok());
    EXPECT_STREQ(last().function, entry) << rows;
  }
}

TEST_F(LaunchTest, TheLongestRowsHaveSixteenBlocksWhereTheDeviceHasRoomForThem) {
  make_runtime();
  for (const bool room : {true, false}) {
    stub_.driver->room_for_large_clusters = room;
    // Two keys: what is prepared once stays.
    const LoadedKernel& kernel =
        prepared(room ? "hidden=262144,residual=add" : "hidden=262144,residual=add,pdl=on");
    push(kernel.where().context);
    ASSERT_TRUE(kernel.launch(args_of(262144, 3, true), stream_on(kernel)).ok());
    EXPECT_STREQ(last().function, room ? "rmsnorm_many" : "rmsnorm_packed");
    EXPECT_EQ(last().config.gridDimX, room ? 48u : 24u);
    EXPECT_EQ(last().config.blockDimX, room ? 256u : 1024u);
  }
}

// Sixteen blocks for few rows and sixteen others for more: without room for them, neither.
TEST_F(LaunchTest, ADeviceWithoutRoomForSixteenBlocksHasTheFirstScheduleForFewAndForMany) {
  make_runtime();
  for (const bool room : {true, false}) {
    stub_.driver->room_for_large_clusters = room;
    const char* text = room ? "hidden=262144" : "hidden=262144,x=f16";
    const Tuning tuning = KernelId::make(spec_of(text), {90, false})->tuning;
    const LoadedKernel& kernel = prepared(text);
    push(kernel.where().context);
    for (const auto& [rows, entry] :
         {std::pair{1, KernelEntry::kFew}, {8, KernelEntry::kFew}, {9, KernelEntry::kMany}}) {
      ASSERT_TRUE(kernel.launch(args_of(262144, rows), stream_on(kernel)).ok());
      const KernelEntry taken = room ? entry : KernelEntry::kPacked;
      const Schedule& schedule = schedule_of(tuning, taken);
      EXPECT_STREQ(last().function, entry_name(taken)) << rows;
      EXPECT_EQ(last().config.gridDimX, static_cast<unsigned>(rows * schedule.cluster));
      EXPECT_EQ(last().config.blockDimX, static_cast<unsigned>(schedule.threads_per_row));
      EXPECT_EQ(last().config.sharedMemBytes,
                static_cast<unsigned>(dynamic_shared_bytes(spec_of(text), schedule)));
    }
  }
}

TEST_F(LaunchTest, TokensOfRowsWithHeadsAreTheSecondDimensionOfTheGrid) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=4096,layout=heads");
  push(kernel.where().context);
  rmsjit_args args = args_of(4096, 7);
  args.heads = 3;
  args.x_head_stride = args.y_head_stride = 4096;
  args.x_token_stride = args.y_token_stride = 3 * 4096;
  ASSERT_TRUE(kernel.launch(args, stream_on(kernel)).ok());
  EXPECT_EQ(last().config.gridDimX, 3u);
  EXPECT_EQ(last().config.gridDimY, 7u);
}

TEST_F(LaunchTest, ALookedUpLaunchIsOneDriverCallToo) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=4096,residual=add");
  const CUstream stream = stream_on(kernel);
  push(kernel.where().context);
  stub_.driver->clear_counts();
  ASSERT_TRUE(launch("hidden=4096,residual=add", args_of(4096, 7, true), stream).ok());
  EXPECT_EQ(stub_.driver->total, 1);
}

TEST_F(LaunchTest, AMisalignedTensorTakesTheOtherEntry) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=4096");
  push(kernel.where().context);
  rmsjit_args args = args_of(4096, 7);
  args.y = static_cast<char*>(args.y) + 2;
  ASSERT_TRUE(kernel.launch(args, stream_on(kernel)).ok());
  EXPECT_STREQ(last().function, "rmsnorm_any");
}

TEST_F(LaunchTest, ThePdlAttributeIsThereExactlyForPdlSpecs) {
  make_runtime();
  const LoadedKernel& off = prepared("hidden=64");
  const LoadedKernel& on = prepared("hidden=64,pdl=on");
  const LoadedKernel& automatic = prepared("hidden=64,pdl=auto");
  EXPECT_EQ(&on, &automatic) << "sm_90";
  push(off.where().context);
  ASSERT_TRUE(off.launch(args_of(64, 1), stream_on(off)).ok());
  EXPECT_EQ(last().config.numAttrs, 0u);
  ASSERT_TRUE(on.launch(args_of(64, 1), stream_on(on)).ok());
  ASSERT_EQ(last().config.numAttrs, 1u);
  EXPECT_EQ(last().attributes[0].id, CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
  EXPECT_EQ(last().attributes[0].value.programmaticStreamSerializationAllowed, 1);
}

TEST_F(LaunchTest, ALongRowGetsTheSharedMemoryThatItsPlanAsksFor) {
  make_runtime();
  const char* text = "hidden=262144,x=f32";
  const KernelId id = *KernelId::make(spec_of(text), {90, false});
  const int wanted = dynamic_shared_bytes(id.spec, id.tuning);
  ASSERT_GT(wanted, 48 * 1024) << "choose a longer row for this test";
  const LoadedKernel& kernel = prepared(text);
  push(kernel.where().context);
  rmsjit_args args = args_of(262144, 100);
  ASSERT_TRUE(kernel.launch(args, stream_on(kernel)).ok());
  EXPECT_STREQ(last().function, "rmsnorm_many");
  EXPECT_EQ(last().config.sharedMemBytes,
            static_cast<unsigned>(dynamic_shared_bytes(id.spec, id.tuning.many)));
  args.x_token_stride += 1;
  ASSERT_TRUE(kernel.launch(args, stream_on(kernel)).ok());
  EXPECT_STREQ(last().function, "rmsnorm_any");
  EXPECT_EQ(last().config.sharedMemBytes, static_cast<unsigned>(wanted));
  rmsjit_kernel_info info{};
  kernel.describe(info);
  EXPECT_EQ(info.shared_bytes, wanted) << "the most of any entry";
  EXPECT_EQ(info.plan, tuning_text(id.tuning));
}

// By then the table may have another kernel, or none: it is not asked again.
TEST_F(LaunchTest, AFailureIsExplainedByTheKernelThatWasTried) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=64");
  push(kernel.where().context);
  const CUstream stream = stream_on(kernel);
  runtime_->forget_device(0);
  stub_.driver->clear_counts();
  const Status status = runtime_->launch_carefully(to_c(spec_of("hidden=64")), 0, args_of(64, 1),
                                                   stream, &kernel, CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(status.code(), StatusCode::kDriver) << status.message();
  EXPECT_EQ(calls(kcuModuleLoadData), 0) << "prepared again";
}

TEST_F(LaunchTest, EachLayoutIsTakenAtOnceByTheCheckThatIsMadeForIt) {
  make_runtime();
  for (const char* text : {"hidden=64", "hidden=64,residual=add", "hidden=64,layout=heads",
                           "hidden=64,layout=heads,residual=add"}) {
    const LoadedKernel& kernel = prepared(text);
    push(kernel.where().context);
    const bool residual = spec_of(text).has_residual();
    rmsjit_args args = args_of(128, 2, residual);
    args.heads = 2;
    args.x_head_stride = args.y_head_stride = 64;
    if (residual) args.residual_head_stride = 64;
    EXPECT_EQ(kernel.try_launch(args, stream_on(kernel)), CUDA_SUCCESS) << text;
    args.residual = residual ? nullptr : args.weight;
    EXPECT_EQ(kernel.try_launch(args, stream_on(kernel)), LoadedKernel::kNotTried) << text;
    args = args_of(64, 2, residual);
    args.heads = 2;  // without strides: ignored by rows
    const bool rows = spec_of(text).layout == Layout::kRows;
    EXPECT_EQ(kernel.try_launch(args, stream_on(kernel)),
              rows ? CUDA_SUCCESS : LoadedKernel::kNotTried)
        << text;
  }
}

TEST_F(LaunchTest, NoRowsAndBadArgumentsReachNoDriver) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=64");
  stub_.driver->clear_counts();
  EXPECT_TRUE(kernel.launch(args_of(64, 0), nullptr).ok());
  rmsjit_args args = args_of(64, 1);
  args.x = nullptr;
  EXPECT_EQ(kernel.launch(args, nullptr).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(stub_.driver->total, 0);
}

TEST_F(LaunchTest, AnUnpreparedKeyIsPreparedOutsideACapture) {
  make_runtime();
  push(stub_.make_context(0));
  const CUstream stream = stub_.make_stream(current());
  ASSERT_TRUE(launch("hidden=64", args_of(64, 1), stream).ok());
  EXPECT_EQ(log_.compiles, 1);
  stub_.driver->clear_counts();
  ASSERT_TRUE(launch("hidden=64", args_of(64, 1), stream).ok());
  EXPECT_EQ(stub_.driver->total, 1);
}

TEST_F(LaunchTest, AnUnpreparedKeyInACaptureIsRefusedBeforeAnythingThatDisturbsIt) {
  make_runtime();
  push(stub_.make_context(0));
  const CUstream stream = stub_.make_stream(current());
  struct Case {
    CUstreamCaptureStatus status;
    CUresult answer;
  };
  for (const Case& c : {Case{CU_STREAM_CAPTURE_STATUS_ACTIVE, CUDA_SUCCESS},
                        Case{CU_STREAM_CAPTURE_STATUS_INVALIDATED, CUDA_SUCCESS},
                        Case{CU_STREAM_CAPTURE_STATUS_NONE, CUDA_ERROR_STREAM_CAPTURE_IMPLICIT}}) {
    stub_.set_capture(stream, c.status, c.answer);
    stub_.driver->clear_counts();
    const Status status = launch("hidden=64,weight_form=one_plus", args_of(64, 1), stream);
    expect(status, StatusCode::kNotPrepared, "\"hidden=64,x=bf16,weight_form=one_plus\"");
    expect(status, StatusCode::kNotPrepared, "the stream is capturing");
    EXPECT_EQ(stub_.driver->total, calls(kcuStreamIsCapturing)) << "nothing else was asked";
    EXPECT_TRUE(launch("hidden=64", args_of(64, 0), stream).ok()) << "no rows, cold key";
  }
  EXPECT_EQ(log_.compiles, 0);
}

TEST_F(LaunchTest, APreparedKeyLaunchesInACaptureAlsoWhenSpelledAnotherWay) {
  make_runtime();
  const LoadedKernel& kernel = prepared("hidden=64");
  const CUstream stream = stream_on(kernel);
  push(kernel.where().context);
  stub_.set_capture(stream, CU_STREAM_CAPTURE_STATUS_ACTIVE, CUDA_SUCCESS);
  runtime_->seal();
  for (int i = 0; i < 2; ++i) {
    stub_.driver->clear_counts();
    EXPECT_TRUE(launch("hidden=64,x=bf16,y=bf16,weight=bf16", args_of(64, 1), stream).ok());
    EXPECT_EQ(stub_.driver->total, 1);
  }
}

TEST_F(LaunchTest, ASealedRuntimeRefusesUnpreparedKeysAndStillPrepares) {
  make_runtime();
  push(stub_.make_context(0));
  const CUstream stream = stub_.make_stream(current());
  runtime_->seal();
  expect(launch("hidden=64", args_of(64, 1), stream), StatusCode::kNotPrepared,
         "\"hidden=64,x=bf16\" is not prepared on device 0 and the runtime is sealed");
  EXPECT_TRUE(launch("hidden=64", args_of(64, 0), stream).ok());
  prepared("hidden=64");
  EXPECT_TRUE(launch("hidden=64", args_of(64, 1), stream).ok());
}

TEST_F(LaunchTest, AnInvalidSpecIsExplainedEvenWithoutRows) {
  make_runtime();
  rmsjit_spec spec = to_c(spec_of("hidden=64"));
  spec.hidden = 262145;
  expect(runtime_->launch(spec, 0, args_of(64, 0), nullptr), StatusCode::kInvalidArgument,
         "hidden=262145");
  spec.hidden = 64;
  spec.root = 9;
  expect(runtime_->launch(spec, 0, args_of(64, 1), nullptr), StatusCode::kInvalidArgument, "root");
}

TEST_F(LaunchTest, AForgottenKeyIsPreparedAgain) {
  make_runtime();
  prepared("hidden=64");
  runtime_->forget_device(0);
  push(stub_.make_context(0));
  EXPECT_TRUE(launch("hidden=64", args_of(64, 1), stub_.make_stream(current())).ok());
  EXPECT_EQ(stub_.driver->modules, 2);
}

}  // namespace
}  // namespace rmsjit
