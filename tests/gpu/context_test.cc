// SPDX-License-Identifier: Apache-2.0
// Threads, contexts and devices for real: a kernel launches where it was prepared, a stream from
// elsewhere is a typed error, and the caller's current context is never changed.
#include <cuda.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/gpu/gpu_fixture.h"

namespace rmsjit::gpu {
namespace {

constexpr int64_t kTokens = 16;

// A context that is not the primary one, current while this lives.
class OwnContext {
 public:
  explicit OwnContext(const bench::Cuda& cuda) : cuda_(cuda) {
    using Create =
        CUresult (*)(CUcontext*, unsigned, CUdevice);  // as every driver since 3.2 has it
    const auto create = reinterpret_cast<Create>(driver_symbol("cuCtxCreate_v2"));
    cuda.check(create(&context_, 0, cuda.device()), "cuCtxCreate");
  }
  ~OwnContext() {
    cuda_.api().cuCtxDestroy(context_);
    cuda_.api().cuCtxSetCurrent(cuda_.context());
  }
  OwnContext(const OwnContext&) = delete;
  OwnContext& operator=(const OwnContext&) = delete;
  CUcontext get() const { return context_; }

 private:
  const bench::Cuda& cuda_;
  CUcontext context_ = nullptr;
};

// Tensors and a stream in the context that is current.
struct Place {
  Place(const bench::Cuda& cuda, const NormSpec& spec)
      : set(std::move(bench::make_tensor_sets(cuda, spec, kTokens, 1)[0])),
        stream(cuda),
        args(tight_args(spec, set, kTokens)) {
    set.y.fill(0xa5);
  }
  std::vector<char> result() {
    stream.synchronize();
    std::vector<char> y = bytes_of(set.y);
    set.y.fill(0xa5);
    return y;
  }
  bench::TensorSet set;
  bench::Stream stream;
  rmsjit_args args;
};

class Context : public OnDevice {
 protected:
  void expect_lookup(const NormSpec& spec, int device, const rmsjit_args& args, CUstream on,
                     rmsjit_status wanted = RMSJIT_OK) {
    const rmsjit_spec c_spec = to_c(spec);
    rmsjit_error error{};
    EXPECT_EQ(rmsjit_launch(runtime->get(), &c_spec, device, &args, on, &error), wanted)
        << error.message;
  }
};

TEST_F(Context, AFreshThreadLaunchesPreparesAndStaysWithoutAContext) {
  const NormSpec spec = spec_of("hidden=640");
  Place place(*cuda, spec);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  expect_launch(kernel, place.args, place.stream.get());
  const std::vector<char> expected = place.result();
  std::thread([&] {
    expect_launch(kernel, place.args, place.stream.get());
    EXPECT_EQ(current(), nullptr);
    EXPECT_NE(runtime->prepare(spec_of("hidden=648")), nullptr);
    EXPECT_EQ(current(), nullptr);
  }).join();
  EXPECT_EQ(place.result(), expected);
  EXPECT_EQ(current(), cuda->context());
}

TEST_F(Context, ANonPrimaryContextHasItsOwnKernelAndStreamsOfTheOtherAreTypedErrors) {
  RMSJIT_NEED_REFUSALS();
  const NormSpec spec = spec_of("hidden=1024");
  Place primary(*cuda, spec);
  const rmsjit_kernel* kernel = runtime->prepare(spec);
  expect_launch(kernel, primary.args, primary.stream.get());
  const std::vector<char> expected = primary.result();
  {
    const OwnContext context(*cuda);
    Place own(*cuda, spec);
    expect_launch(kernel, own.args, own.stream.get(), RMSJIT_WRONG_CONTEXT);
    expect_lookup(spec, 0, own.args, own.stream.get(), RMSJIT_WRONG_CONTEXT);
    const rmsjit_kernel* of_own = runtime->prepare(spec);
    ASSERT_NE(of_own, nullptr);
    EXPECT_NE(of_own, kernel);
    expect_launch(of_own, own.args, own.stream.get());
    EXPECT_EQ(own.result(), expected);
    expect_lookup(spec, 0, own.args, own.stream.get());
    EXPECT_EQ(own.result(), expected);
    expect_launch(of_own, own.args, primary.stream.get(), RMSJIT_WRONG_CONTEXT);
    EXPECT_EQ(current(), context.get());
    runtime.reset();  // before the context, as the header demands
    EXPECT_EQ(current(), context.get());
  }
}

// After a reset nothing of the old context may be touched: not by forget_device, by a new prepare
// or by the end of the runtime; whether the caller or the library had retained it.
TEST_F(Context, AResetAndForgottenDeviceIsPreparedAgain) {
  const auto reset = reinterpret_cast<decltype(&::cuDevicePrimaryCtxReset)>(
      driver_symbol("cuDevicePrimaryCtxReset_v2"));
  ASSERT_NE(reset, nullptr);
  const NormSpec spec = spec_of("hidden=1536,pdl=auto");
  stream.reset();
  std::vector<char> expected;
  for (const bool library_retains : {false, true}) {
    if (library_retains) {
      std::thread([&] { ASSERT_NE(runtime->prepare(spec), nullptr); }).join();
    }
    for (int round = 0; round < 2; ++round) {
      const rmsjit_kernel* kernel = runtime->prepare(spec);
      ASSERT_NE(kernel, nullptr);
      {
        Place place(*cuda, spec);
        SCOPED_TRACE(testing::Message()
                     << "round " << round << ", library_retains=" << library_retains);
        expect_launch(kernel, place.args, place.stream.get());
        const std::vector<char> y = place.result();
        if (expected.empty()) expected = y;
        EXPECT_EQ(y, expected);
        expect_lookup(spec, 0, place.args, place.stream.get());
        EXPECT_EQ(place.result(), expected) << "by look-up";
      }
      cuda->check(reset(cuda->device()), "cuDevicePrimaryCtxReset");
      cuda.reset();
      EXPECT_EQ(rmsjit_forget_device(runtime->get(), 0, nullptr), RMSJIT_OK);
      cuda.emplace();
    }
  }
  runtime.reset();
}

// Two devices, each with a Place; the last one's context is current after the construction.
class TwoDevices : public Context {
 protected:
  void SetUp() override {
    Context::SetUp();
    if (!cuda) return;
    int count = 0;
    cuda->check(cuda->api().cuDeviceGetCount(&count), "cuDeviceGetCount");
    if (count < 2) GTEST_SKIP() << "needs two devices, this machine has " << count;
    second.emplace(1);
    spec = spec_of("hidden=2048,pdl=auto");
    for (int device : {0, 1}) {
      make_current(device);
      places[device].emplace(device == 0 ? *cuda : *second, spec);
      kernels[device] = runtime->prepare(spec, device);
      ASSERT_NE(kernels[device], nullptr);
    }
  }
  void TearDown() override {
    for (int device : {0, 1}) {
      if (!places[device]) continue;
      make_current(device);
      places[device].reset();
    }
    runtime.reset();
  }
  void make_current(int device) {
    const CUcontext context = device == 0 ? cuda->context() : second->context();
    cuda->check(cuda->api().cuCtxSetCurrent(context), "cuCtxSetCurrent");
  }
  std::vector<char> result(int device) {
    make_current(device);
    return places[device]->result();
  }

  NormSpec spec;
  std::optional<bench::Cuda> second;
  std::optional<Place> places[2];
  const rmsjit_kernel* kernels[2] = {};
};

TEST_F(TwoDevices, AreServedAlternatelyWithTheSameBits) {
  expect_launch(kernels[1], places[1]->args, places[1]->stream.get());
  const std::vector<char> expected = result(1);
  for (int i = 0; i < 1000; ++i) {
    make_current(i % 2);
    expect_lookup(spec, i % 2, places[i % 2]->args, places[i % 2]->stream.get());
  }
  EXPECT_EQ(result(0), expected);
  EXPECT_EQ(result(1), expected);
  std::thread([&] {  // with no context of its own
    for (int i = 0; i < 1000; ++i) {
      expect_launch(kernels[i % 2], places[i % 2]->args, places[i % 2]->stream.get());
    }
    EXPECT_EQ(current(), nullptr);
  })
      .join();
  EXPECT_EQ(result(0), expected);
  EXPECT_EQ(result(1), expected);
}

TEST_F(TwoDevices, AStreamOfTheOtherDeviceIsATypedErrorThatChangesNothing) {
  RMSJIT_NEED_REFUSALS();
  for (int device : {0, 1}) {
    for (int current_device : {0, 1}) {
      make_current(current_device);
      const CUcontext before = current();
      Place& other = *places[1 - device];
      expect_launch(kernels[device], other.args, other.stream.get(), RMSJIT_WRONG_DEVICE);
      expect_lookup(spec, device, other.args, other.stream.get(), RMSJIT_WRONG_DEVICE);
      EXPECT_EQ(current(), before);
    }
  }
  for (int device : {0, 1}) {
    EXPECT_EQ(result(device), std::vector<char>(places[device]->set.y.bytes(), '\xa5'));
  }
}

TEST_F(TwoDevices, PreparingForOneLeavesTheOthersContextCurrent) {
  for (int device : {0, 1}) {
    make_current(1 - device);
    const CUcontext before = current();
    EXPECT_NE(runtime->prepare(spec_of("hidden=2056"), device), nullptr);
    EXPECT_EQ(current(), before);
  }
}

}  // namespace
}  // namespace rmsjit::gpu
