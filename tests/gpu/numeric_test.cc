// SPDX-License-Identifier: Apache-2.0
// Numbers and bits on the device: the covering set of specs against the double reference, and with
// an exact root against the bits of the fixed sum, which are the emulator's.
#include <gtest/gtest.h>

#include <random>

#include "rmsjit/spec_text.h"
#include "runtime/compiler.h"
#include "runtime/launch_plan.h"
#include "tests/gpu/gpu_fixture.h"
#include "tests/spec_set.h"
#include "tools/bench/kernel_under_test.h"

namespace rmsjit::gpu {
namespace {

// A random element-aligned offset and odd pads for every tensor.
GpuCase scattered(const NormSpec& spec, int64_t tokens, std::mt19937& random) {
  GpuCase c;
  c.tokens = tokens;
  c.heads = heads_of(spec, static_cast<int64_t>(random() % 3));
  c.first_row = static_cast<int>(random() % 50);
  const auto memory = [&](DType dtype) {
    const auto bytes = dtype_bytes(dtype);
    return TensorMemory{static_cast<int64_t>(random() % 16) / bytes * bytes,
                        static_cast<int64_t>(random() % 11), static_cast<int64_t>(random() % 7)};
  };
  c.x = memory(spec.x_dtype());
  c.residual = memory(spec.residual_dtype_resolved());
  c.residual_out = memory(spec.residual_dtype_resolved());
  c.y = memory(spec.y_dtype());
  if (spec.has_weight()) c.weight_offset_bytes = memory(spec.weight_dtype()).offset_bytes;
  return c;
}

class GpuSpecs : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Slice, GpuSpecs, testing::Range(0, Slice::kCount));

TEST_P(GpuSpecs, EverySpecAgreesWithTheReferenceAtEveryAlignment) {
  RMSJIT_NEED_GPU();
  const bench::Cuda cuda;
  const bench::Stream stream(cuda);
  TestRuntime runtime;
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  Slice slice(GetParam());
  uint32_t seed = 11;  // every third has eps 0, another a subnormal one
  for (const NormSpec& spec : covering_specs(Target{cuda.sm()})) {
    if (!slice.takes(4)) continue;
    SCOPED_TRACE(spec_text(spec));
    const rmsjit_kernel* kernel = runtime.prepare(spec);
    ASSERT_NE(kernel, nullptr);
    const emulate::RowPool pool(spec, seed++);
    GpuCase aligned;
    for (int64_t tokens : {1, 2, 37}) {
      aligned.heads = heads_of(spec, tokens - 1);
      aligned.tokens = spec.hidden > 20000 ? std::min<int64_t>(tokens, 3) : tokens;
      ASSERT_EQ(run_gpu_case(cuda, stream, spec, pool, aligned, launcher_of(kernel)).problem, "");
    }
    for (int i = 0; i < 4; ++i) {
      const GpuCase c = scattered(spec, spec.hidden > 20000 ? 2 : 5, random);
      ASSERT_EQ(run_gpu_case(cuda, stream, spec, pool, c, launcher_of(kernel)).problem, "");
    }
  }
}

class GpuBits : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(
    Model, GpuBits,
    testing::Values("hidden=4096,root=exact,y=f32", "hidden=5120,residual=add,root=exact",
                    "hidden=2881,root=exact,y=f32", "hidden=128,layout=heads,root=exact",
                    "hidden=128,x=f32,root=exact", "hidden=65536,root=exact,y=f32",
                    "hidden=40001,residual=add,root=exact"));

TEST_P(GpuBits, ARowGivesTheSameBitsInEveryBatchAndUnderEveryPlan) {
  RMSJIT_NEED_GPU();
  const bench::Cuda cuda;
  const bench::Stream stream(cuda);
  const std::unique_ptr<Compiler> compiler = make_inprocess_compiler({});
  const Target target{cuda.sm()};
  const NormSpec spec = canonical(*parse_spec(GetParam()), target);
  const emulate::RowPool pool(spec, 5);
  const int leaves = leaves_of(spec);
  std::vector<BlockShape> shapes;
  for (int threads = 4; threads <= 1024; threads *= 2) {
    for (int rows : {1, 2, 8}) shapes.push_back({threads, rows});
  }
  for (int cluster : {2, 4, 8}) {
    if (target.sm < 90) continue;
    for (int threads : {32, 256}) shapes.push_back({threads, 1, Trigger::kEnd, cluster});
  }
  for (const BlockShape& shape : shapes) {
    const int block = shape.threads * shape.rows;
    if (leaves <= 32 * shape.threads * shape.cluster && block <= 1024 && block >= 32) {
      // Many rows: two a block, or what a warp holds; the weight late.
      const int rows = shape.threads > 512 ? 1 : std::max(32 / shape.threads, 2);
      BlockShape many{shape.threads, rows, Trigger::kEnd, 1, WeightLoad::kLate, 1}, few;
      if (shape.cluster > 1) many = {};
      // Few: a cluster, where there are clusters and leaves for its threads.
      const int blocks = leaves > 2048 ? 8 : 2;
      if (target.sm >= 90 && leaves >= 256 && shape.threads >= 32) {
        few = {128, 1, Trigger::kEnd, blocks, WeightLoad::kEarly, 1};
      }
      const KernelId id{spec, target, complete_tuning(spec, target, shape, few, many)};
      const Result<CompiledImage> image = compiler->compile(make_compile_request(id));
      ASSERT_TRUE(image.ok()) << image.message();
      const bench::KernelUnderTest kernel(cuda, id, image->image);
      for (int64_t tokens : {1, 2, 5, 300}) {
        GpuCase c;
        c.tokens = spec.hidden > 20000 ? std::min<int64_t>(tokens, 5) : tokens;
        c.heads = heads_of(spec, tokens - 1);
        c.row_step = 3;
        const Launcher launch = [&](const rmsjit_args& args, CUstream s) -> std::string {
          KernelEntry entry = tokens == 1   ? KernelEntry::kPacked
                              : tokens == 5 ? KernelEntry::kFew
                                            : KernelEntry::kMany;
          if (!has_entry(id.tuning, entry)) entry = KernelEntry::kPacked;
          kernel.launch(s, args, schedule_of(id.tuning, entry).max_rows_per_block, entry);
          return "";
        };
        ASSERT_EQ(run_gpu_case(cuda, stream, spec, pool, c, launch).problem, "")
            << tuning_text(id.tuning);
      }
    }
  }
}

// The constants of rmsnorm_params.h, which only a device can confirm.
TEST(L2Policy, IsWhatCreatepolicyGives) {
  RMSJIT_NEED_GPU();
  const bench::Cuda cuda;
  if (cuda.sm() != 90) GTEST_SKIP() << "used on sm_90 alone, this device is sm_" << cuda.sm();
  const Target target{90};
  const NormSpec spec = canonical(*parse_spec("hidden=4096"), target);
  CompileRequest request = make_compile_request({spec, target, launch_plan(spec, target)});
  request.spec_cuh += R"(
    extern "C" __global__ void policies(rmsjit::u64* out) {
      asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(out[0]));
      asm("createpolicy.fractional.L2::evict_unchanged.b64 %0, 1.0;" : "=l"(out[1]));
      out[2] = rmsjit::l2_policy(rmsjit::kEvictLast).bits;
      out[3] = rmsjit::l2_policy(rmsjit::kEvictUnchanged).bits;
    })";
  const Result<CompiledImage> image = make_inprocess_compiler({})->compile(request);
  ASSERT_TRUE(image.ok()) << image.message();
  CUmodule module = nullptr;
  CUfunction function = nullptr;
  cuda.check(cuda.api().cuModuleLoadData(&module, image->image.data()), "cuModuleLoadData");
  cuda.check(cuda.api().cuModuleGetFunction(&function, module, "policies"), "policies");
  const bench::Stream stream(cuda);
  const bench::Buffer out(cuda, 4 * sizeof(uint64_t));
  CUlaunchConfig config{};
  config.gridDimX = config.gridDimY = config.gridDimZ = 1;
  config.blockDimX = config.blockDimY = config.blockDimZ = 1;
  config.hStream = stream.get();
  char* data = out.data();
  void* params[] = {&data};
  cuda.check(cuda.api().cuLaunchKernelEx(&config, function, params, nullptr), "cuLaunchKernelEx");
  stream.synchronize();
  uint64_t bits[4] = {};
  out.download(bits, sizeof bits);
  cuda.check(cuda.api().cuModuleUnload(module), "cuModuleUnload");
  EXPECT_EQ(bits[2], bits[0]);
  EXPECT_EQ(bits[3], bits[1]);
}

}  // namespace
}  // namespace rmsjit::gpu
