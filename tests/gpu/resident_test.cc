// SPDX-License-Identifier: Apache-2.0
// What prepare() leaves for the first launch to do: nothing that waits for the device, and nothing
// that needs its memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "tests/gpu/gpu_fixture.h"
#include "tests/gpu/neighbours.h"

namespace rmsjit::gpu {
namespace {

// All of a device's memory, until free().
class Hoard {
 public:
  explicit Hoard(const bench::Cuda& cuda) : cuda_(cuda) {
    for (size_t bytes = size_t{1} << 32; bytes >= 256; bytes /= 2) {
      CUdeviceptr address = 0;
      while (cuda.api().cuMemAlloc(&address, bytes) == CUDA_SUCCESS) held_.push_back(address);
    }
  }
  ~Hoard() { free(); }
  Hoard(const Hoard&) = delete;
  Hoard& operator=(const Hoard&) = delete;
  void free() {
    for (const CUdeviceptr address : held_) cuda_.api().cuMemFree(address);
    held_.clear();
  }

 private:
  const bench::Cuda& cuda_;
  std::vector<CUdeviceptr> held_;
};

// Prepared keys of several plans, each entry of each with its own first launch still to come.
class Resident : public OnDevice {
 protected:
  struct Norm {
    NormSpec spec;
    bench::TensorSet set;
    rmsjit_args args;
    const rmsjit_kernel* kernel;
    std::vector<char> result;
  };
  static constexpr int64_t kTokens = 8;

  void SetUp() override {
    OnDevice::SetUp();
    if (!cuda) return;
    neighbours.emplace(*cuda);
    const char* pdl = cuda->sm() >= 90 ? "hidden=4096,residual=add,pdl=on" : "hidden=4096";
    for (const char* text : {pdl, "hidden=1032,weight_form=one_plus", "hidden=65536,x=f32"}) {
      const NormSpec spec = spec_of(text);
      for (const bool packed : {true, false}) {
        Norm norm{spec,
                  std::move(bench::make_tensor_sets(*cuda, spec, kTokens + 1, 1)[0]),
                  {},
                  runtime->prepare(spec),
                  {}};
        ASSERT_NE(norm.kernel, nullptr);
        norm.args = tight_args(spec, norm.set, kTokens);
        const auto element = static_cast<size_t>(dtype_bytes(spec.x_dtype()));
        if (!packed) norm.args.x = static_cast<const char*>(norm.args.x) + element;
        norm.set.y.fill(0);
        norms.push_back(std::move(norm));
      }
    }
    warm_stream();
  }
  // The stream has worked before, as an engine's has.
  void warm_stream() {
    bench::Buffer word(*cuda, 16);
    word.fill(0);
    neighbours->late(stream->get(), {}, word);
    stream->synchronize();
  }
  void launch_all() {
    for (const Norm& norm : norms) expect_launch(norm.kernel, norm.args, stream->get());
  }
  // Against launches that are not the first.
  void expect_right_results() {
    for (Norm& norm : norms) norm.result = bytes_of(norm.set.y);
    for (Norm& norm : norms) {
      if (norm.spec.has_residual()) continue;  // it was added in place
      norm.set.y.fill(0);
      expect_launch(norm.kernel, norm.args, stream->get());
      stream->synchronize();
      EXPECT_EQ(bytes_of(norm.set.y), norm.result);
      EXPECT_NE(norm.result, std::vector<char>(norm.result.size(), 0));
    }
  }

  std::optional<Neighbours> neighbours;
  std::vector<Norm> norms;
};

TEST_F(Resident, APersistentKernelElsewhereDoesNotHoldUpTheFirstLaunchOfAPreparedKey) {
  if (short_run()) GTEST_SKIP() << "compute-sanitizer runs one kernel at a time";
  using std::chrono::steady_clock;
  Neighbours::Persistent persistent(*neighbours);
  steady_clock::duration longest{};
  for (const Norm& norm : norms) {
    const auto begin = steady_clock::now();
    expect_launch(norm.kernel, norm.args, stream->get());
    longest = std::max(longest, steady_clock::now() - begin);
  }
  stream->synchronize();
  EXPECT_TRUE(persistent.release()) << "something waited until the persistent kernel gave up";
  EXPECT_LT(longest, std::chrono::milliseconds(20));
  RecordProperty("longest_launch_us", std::to_string(longest / std::chrono::microseconds(1)));
  expect_right_results();
}

TEST_F(Resident, TheFirstLaunchOfAPreparedKeyNeedsNoFreeDeviceMemory) {
  RMSJIT_NEED_REFUSALS();
  Hoard hoard(*cuda);
  CUdeviceptr none = 0;
  ASSERT_EQ(cuda->api().cuMemAlloc(&none, 1), CUDA_ERROR_OUT_OF_MEMORY);
  launch_all();
  stream->synchronize();
  hoard.free();
  expect_right_results();
}

TEST_F(Resident, PreparingWithoutFreeDeviceMemoryIsAnErrorThatIsNotRemembered) {
  RMSJIT_NEED_REFUSALS();
  // Each key takes a little of what the driver keeps in reserve for modules.
  constexpr int kKeys = 200;
  const rmsjit_kernel* kernel = nullptr;
  rmsjit_error error{};
  rmsjit_status status = RMSJIT_OK;
  rmsjit_spec spec = to_c(spec_of("hidden=2048"));
  {
    const Hoard hoard(*cuda);
    for (int i = 0; i < kKeys && status == RMSJIT_OK; ++i) {
      spec.hidden += 8;
      status = rmsjit_prepare(runtime->get(), &spec, 0, &kernel, &error);
    }
  }
  if (status == RMSJIT_OK) GTEST_SKIP() << kKeys << " modules fitted into the driver's reserve";
  EXPECT_EQ(status, RMSJIT_DRIVER) << error.message;
  EXPECT_NE(std::string(error.message).find("OUT_OF_MEMORY"), std::string::npos) << error.message;
  EXPECT_EQ(rmsjit_prepare(runtime->get(), &spec, 0, &kernel, &error), RMSJIT_OK) << error.message;
}

}  // namespace
}  // namespace rmsjit::gpu
