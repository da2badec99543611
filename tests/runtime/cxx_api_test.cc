// SPDX-License-Identifier: Apache-2.0
// The C++ layer and the C ABI below it, on the stub driver with a bundle that needs no compiler.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include "rmsjit/rmsjit.h"
#include "tests/runtime/runtime_fixture.h"

namespace rmsjit {
namespace {

using namespace stub;

class CxxApi : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    // A cache directory that was written is a bundle.
    RuntimeCore& builder = make_runtime(on_disk());
    for (const char* text : {"hidden=64", "hidden=65", "hidden=64,residual=add"}) {
      ASSERT_TRUE(builder.precompile(spec_of(text), {90, false}).ok());
    }
    options_.cache = Options::CacheDir::kNone;
    options_.bundle_path = dir_.path("cache");
    options_.jit = RMSJIT_JIT_OFF;
    options_.log = [this](int32_t, const char* message) { logged_.push_back(message); };
  }
  Runtime make() {
    Result<Runtime> runtime = Runtime::create(options_);
    if (!runtime.ok()) ADD_FAILURE() << runtime.message();
    return std::move(runtime).value();
  }
  RmsNormArgs args(int64_t hidden, int64_t tokens) {
    RmsNormArgs args;
    static_cast<rmsjit_args&>(args) = args_of(hidden, tokens);
    return args;
  }
  Options options_;
  std::vector<std::string> logged_;
};

TEST_F(CxxApi, AKernelFromABundleIsPreparedLaunchedAndDescribed) {
  Runtime runtime = make();
  const Result<Kernel> kernel = runtime.prepare("hidden=64,y=bf16", 0);
  ASSERT_TRUE(kernel.ok()) << kernel.message();
  const KernelInfo info = kernel->info();
  EXPECT_STREQ(info.spec_text, "hidden=64,x=bf16");
  EXPECT_STREQ(info.target, "sm_90");
  EXPECT_STREQ(info.origin, "bundle");
  EXPECT_EQ(std::strlen(info.digest), 64u);
  EXPECT_EQ(info.registers, 32);
  EXPECT_EQ(info.device, 0);
  push(stub_.make_context(1));
  EXPECT_EQ(kernel->launch(args(64, 3), stub_.make_stream(current())).code(),
            StatusCode::kWrongDevice);
  const Stats stats = runtime.stats();
  EXPECT_EQ(stats.bundle_hits, 1u);
  EXPECT_EQ(stats.loaded_kernels, 1u);
  EXPECT_EQ(stats.compiles, 0u);
  runtime.close();
  EXPECT_EQ(stub_.driver->modules, 0);
}

TEST_F(CxxApi, LaunchLooksUpPreparesAndHonoursTheSeal) {
  Runtime runtime = make();
  push(stub_.make_context(0));
  const CUstream stream = stub_.make_stream(current());
  EXPECT_TRUE(runtime.launch(spec_of("hidden=64"), 0, args(64, 3), stream).ok());
  runtime.seal();
  EXPECT_TRUE(runtime.launch(spec_of("hidden=64"), 0, args(64, 3), stream).ok());
  const Status sealed = runtime.launch(spec_of("hidden=65"), 0, args(65, 3), stream);
  EXPECT_EQ(sealed.code(), StatusCode::kNotPrepared);
  EXPECT_NE(sealed.message().find("hidden=65"), std::string::npos);
}

TEST_F(CxxApi, FindNamesAPreparedKernelAndNeverPrepares) {
  Runtime runtime = make();
  const rmsjit_spec spec = to_c(spec_of("hidden=64"));
  EXPECT_EQ(rmsjit_find(runtime.handle(), &spec, 0), nullptr);
  EXPECT_EQ(runtime.stats().loaded_kernels, 0u);
  const Kernel kernel = *runtime.prepare("hidden=64", 0);
  EXPECT_EQ(rmsjit_find(runtime.handle(), &spec, 0), kernel.handle());
  EXPECT_EQ(rmsjit_find(runtime.handle(), &spec, 1), nullptr);
  EXPECT_EQ(rmsjit_find(nullptr, &spec, 0), nullptr);
  EXPECT_EQ(rmsjit_find(runtime.handle(), nullptr, 0), nullptr);
}

TEST_F(CxxApi, PrepareManyReturnsTheFirstFailureAfterTryingAll) {
  Runtime runtime = make();
  EXPECT_TRUE(runtime.prepare_many({spec_of("hidden=64"), spec_of("hidden=65")}, 0).ok());
  const Status status =
      runtime.prepare_many({spec_of("hidden=63"), spec_of("hidden=64,residual=add")}, 0);
  EXPECT_EQ(status.code(), StatusCode::kJitDisabled);
  EXPECT_EQ(runtime.stats().loaded_kernels, 3u);
}

TEST_F(CxxApi, ARuntimeMovesWithItsCallbacks) {
  options_.bundle_path += ":" + dir_.path("absent");
  Runtime first = make();
  Runtime second = std::move(first);
  first = std::move(second);
  EXPECT_EQ(first.prepare("hidden=63", 0).code(), StatusCode::kJitDisabled);
  ASSERT_EQ(logged_.size(), 1u);
  EXPECT_NE(logged_[0].find(dir_.path("absent")), std::string::npos);
  EXPECT_TRUE(first.forget_device(0).ok());
}

TEST_F(CxxApi, ErrorsOfCreateAndOfSpecTextsComeAsStatus) {
  options_.max_keys = -1;
  EXPECT_EQ(Runtime::create(options_).code(), StatusCode::kInvalidArgument);
  options_.max_keys = 0;
  Runtime runtime = make();
  EXPECT_EQ(runtime.prepare("hidden=64,colour=red", 0).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(runtime.precompile(spec_of("hidden=64"), "sm_90x").code(),
            StatusCode::kInvalidArgument);
  EXPECT_EQ(keys_for_model_json("not json").code(), StatusCode::kInvalidArgument);
}

TEST_F(CxxApi, ArgumentsOfAnotherVersionAreReadByTheirSize) {
  Runtime runtime = make();
  const Kernel kernel = *runtime.prepare("hidden=64", 0);
  push(stub_.make_context(1));
  struct {
    rmsjit_args args;
    char newer[24];
  } large{};
  large.args = args_of(64, 1);
  rmsjit_error error;
  const auto launch = [&] {
    // A stream of another device: whatever passes the checks fails in the driver.
    return rmsjit_kernel_launch(kernel.handle(), &large.args, stub_.make_stream(current()), &error);
  };
  large.args.struct_size = sizeof large;
  EXPECT_EQ(launch(), RMSJIT_WRONG_DEVICE);
  large.newer[20] = 1;
  EXPECT_EQ(launch(), RMSJIT_INVALID_ARGUMENT);
  EXPECT_NE(std::strstr(error.message, "args.struct_size=160"), nullptr) << error.message;
  large.args.struct_size = offsetof(rmsjit_args, reserved);
  large.args.reserved = 99;  // not part of that version
  EXPECT_EQ(launch(), RMSJIT_WRONG_DEVICE);
  large.args.struct_size = 3;
  EXPECT_EQ(launch(), RMSJIT_INVALID_ARGUMENT);
}

TEST_F(CxxApi, InfoOfAnotherVersionIsFilledAsFarAsItReaches) {
  Runtime runtime = make();
  const Kernel kernel = *runtime.prepare("hidden=64", 0);
  struct {
    rmsjit_kernel_info info;
    char newer[16];
  } large;
  std::memset(&large, 0x55, sizeof large);
  large.info.struct_size = offsetof(rmsjit_kernel_info, origin);
  EXPECT_EQ(rmsjit_kernel_info_get(kernel.handle(), &large.info, nullptr), RMSJIT_OK);
  EXPECT_STREQ(large.info.target, "sm_90");
  EXPECT_EQ(large.info.registers, 0x55555555);
  large.info.struct_size = sizeof large;
  EXPECT_EQ(rmsjit_kernel_info_get(kernel.handle(), &large.info, nullptr), RMSJIT_OK);
  EXPECT_EQ(large.info.registers, 32);
  for (const char byte : large.newer) EXPECT_EQ(byte, 0);
  large.info.struct_size = 1;
  EXPECT_EQ(rmsjit_kernel_info_get(kernel.handle(), &large.info, nullptr), RMSJIT_INVALID_ARGUMENT);
}

TEST_F(CxxApi, SpecsOfAnotherVersionLieAtTheirOwnDistance) {
  Runtime runtime = make();
  struct Newer {
    rmsjit_spec spec;
    int64_t newer;
  } specs[2] = {{to_c(spec_of("hidden=64")), 0}, {to_c(spec_of("hidden=65")), 0}};
  for (Newer& item : specs) item.spec.struct_size = sizeof item;
  const rmsjit_kernel* kernels[2] = {};
  EXPECT_EQ(rmsjit_prepare_many(runtime.handle(), &specs[0].spec, 2, 0, nullptr, kernels, nullptr,
                                nullptr),
            RMSJIT_OK);
  EXPECT_STREQ(Kernel(kernels[1]).info().spec_text, "hidden=65,x=bf16");
}

TEST_F(CxxApi, PrepareManyFillsEachItemsKernelAndError) {
  Runtime runtime = make();
  const rmsjit_spec specs[] = {to_c(spec_of("hidden=64")), to_c(spec_of("hidden=63"))};
  const rmsjit_kernel* kernels[2];
  static rmsjit_error errors[2];
  rmsjit_error first;
  EXPECT_EQ(rmsjit_prepare_many(runtime.handle(), specs, 2, 0, nullptr, kernels, errors, &first),
            RMSJIT_JIT_DISABLED);
  EXPECT_NE(kernels[0], nullptr);
  EXPECT_EQ(errors[0].code, RMSJIT_OK);
  EXPECT_EQ(kernels[1], nullptr);
  EXPECT_EQ(errors[1].code, RMSJIT_JIT_DISABLED);
  EXPECT_STREQ(errors[1].message, first.message);
}

}  // namespace
}  // namespace rmsjit
