// SPDX-License-Identifier: Apache-2.0
// Programmatic dependent launch on the device: neighbours that let the norm start long before they
// are done. A kernel that copies late, after it has triggered, stands before the norm as the writer
// of its x and as the reader of its y.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "rmsjit/spec_text.h"
#include "runtime/nvrtc_library.h"
#include "tests/gpu/gpu_case.h"
#include "tools/bench/kernel_under_test.h"

namespace rmsjit::gpu {
namespace {

constexpr char kLateCopy[] = R"(
extern "C" __global__ void late_copy(unsigned* to, const unsigned* from, unsigned words) {
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
  for (int i = 0; i < 8; ++i) __nanosleep(1000);
  for (unsigned i = threadIdx.x; i < words; i += blockDim.x) to[i] = from[i];
}
)";

struct PdlChain : testing::Test {
  static constexpr int64_t kRows = 6, kHidden = 1024;

  void SetUp() override {
    RMSJIT_NEED_GPU();
    cuda.emplace();
    if (cuda->sm() < 90) GTEST_SKIP() << "PDL needs sm_90, this device is sm_" << cuda->sm();
    stream.emplace(*cuda);
    runtime.emplace();
    const auto nvrtc = NvrtcLibrary::open({.object_folder = own_object_folder()});
    ASSERT_TRUE(nvrtc.ok()) << nvrtc.message();
    const std::string target = "sm_" + std::to_string(cuda->sm());
    CompileJob job{
        "late_copy", target, {"-arch=" + target, "--no-cache"}, {{"late_copy.cu", kLateCopy}}};
    const Result<CompiledImage> image = (*nvrtc)->compile(job);
    ASSERT_TRUE(image.ok()) << image.message();
    cuda->check(cuda->api().cuModuleLoadData(&module, image->image.data()), "cuModuleLoadData");
    cuda->check(cuda->api().cuModuleGetFunction(&late, module, "late_copy"), "cuModuleGetFunction");
  }
  void TearDown() override {
    if (module != nullptr) cuda->api().cuModuleUnload(module);
  }

  void late_copy(CUstream s, void* to, const void* from, size_t bytes) {
    auto words = static_cast<unsigned>(bytes / 4);
    void* arguments[] = {&to, &from, &words};
    CUlaunchAttribute pdl{};
    pdl.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
    pdl.value.programmaticStreamSerializationAllowed = 1;
    CUlaunchConfig config{};
    config.gridDimX = config.gridDimY = config.gridDimZ = 1;
    config.blockDimX = 256;
    config.blockDimY = config.blockDimZ = 1;
    config.hStream = s;
    config.attrs = &pdl;
    config.numAttrs = 1;
    cuda->check(cuda->api().cuLaunchKernelEx(&config, late, arguments, nullptr),
                "cuLaunchKernelEx");
  }

  void norm(CUstream s, const rmsjit_kernel* kernel, const NormSpec& spec, const void* x,
            const bench::TensorSet& set) {
    rmsjit_args args{};
    args.struct_size = sizeof args;
    args.x = x;
    args.y = spec.y_placement == YPlacement::kInPlace ? const_cast<void*>(x) : set.y.data();
    args.weight = set.weight.data();
    args.tokens = kRows;
    args.x_token_stride = args.y_token_stride = kHidden;
    args.eps = 1e-6f;
    if (spec.has_residual()) {
      args.residual = set.residual.data();
      args.residual_out = set.residual_out.data();
      args.residual_token_stride = args.residual_out_token_stride = kHidden;
    }
    rmsjit_error error{};
    ASSERT_EQ(rmsjit_kernel_launch(kernel, &args, s, &error), RMSJIT_OK) << error.message;
  }

  std::vector<char> bytes_of(const bench::Buffer& buffer, size_t at, size_t bytes) {
    std::vector<char> out(bytes);
    buffer.download(out.data(), bytes, at);
    return out;
  }

  // Two inputs in turn, `rounds` times: each round's y is logged by a late reader, and must be that
  // of its own x. `late_writer`: x arrives from a late copy just before the norm.
  void run(const char* text, bool late_writer, int rounds) {
    SCOPED_TRACE(text);
    const NormSpec spec = canonical(*parse_spec(text), Target{cuda->sm()});
    const rmsjit_kernel* kernel = runtime->prepare(spec);
    ASSERT_NE(kernel, nullptr);
    const auto sets = bench::make_tensor_sets(*cuda, spec, kRows, 1);
    const bench::TensorSet& set = sets[0];
    const size_t bytes = set.x.bytes();
    bench::Buffer inputs(*cuda, 2 * bytes), log(*cuda, static_cast<size_t>(rounds) * bytes);
    std::vector<char> flipped = bytes_of(set.x, 0, bytes);
    inputs.upload(flipped.data(), bytes);
    std::reverse(flipped.begin(), flipped.end() - 1);
    for (size_t i = 1; i < bytes; i += 2) flipped[i] = static_cast<char>(flipped[i] & 0x3f);
    inputs.upload(flipped.data(), bytes, bytes);
    const bool in_place = spec.y_placement == YPlacement::kInPlace;
    std::vector<std::vector<char>> expected;
    for (size_t which : {0, 1}) {  // one at a time
      late_copy(stream->get(), set.x.data(), inputs.data() + which * bytes, bytes);
      stream->synchronize();
      norm(stream->get(), kernel, spec, set.x.data(), set);
      stream->synchronize();
      expected.push_back(bytes_of(in_place ? set.x : set.y, 0, bytes));
    }
    ASSERT_NE(expected[0], expected[1]);
    const auto chain = [&](CUstream s) {
      for (int i = 0; i < rounds; ++i) {
        char* input = inputs.data() + static_cast<size_t>(i % 2) * bytes;
        if (late_writer) late_copy(s, set.x.data(), input, bytes);
        norm(s, kernel, spec, late_writer ? set.x.data() : input, set);
        late_copy(s, log.data() + static_cast<size_t>(i) * bytes,
                  in_place ? set.x.data() : set.y.data(), bytes);
      }
    };
    const auto check = [&](const char* how) {
      stream->synchronize();
      for (int i = 0; i < rounds; ++i) {
        ASSERT_EQ(bytes_of(log, static_cast<size_t>(i) * bytes, bytes),
                  expected[static_cast<size_t>(i % 2)])
            << how << ", round " << i;
      }
      log.fill(0xa5);
    };
    log.fill(0xa5);
    chain(stream->get());
    check("eager");
    const bench::Graph graph(*cuda, *stream, chain);
    for (int replay = 0; replay < 3; ++replay) {
      graph.launch();
      check("graph");
    }
  }

  int rounds() const { return getenv("RMSJIT_GPU_SHORT") != nullptr ? 10 : 2500; }

  std::optional<bench::Cuda> cuda;
  std::optional<bench::Stream> stream;
  std::optional<TestRuntime> runtime;
  CUmodule module = nullptr;
  CUfunction late = nullptr;
};

TEST_F(PdlChain, XWrittenAfterItsWriterTriggeredIsTheXThatIsNormalised) {
  if (!runtime) return;
  run("hidden=1024,pdl=on", true, rounds());
  run("hidden=1024,pdl=on,constant_weight=on", true, rounds());
  run("hidden=1024,pdl=on,y_placement=in_place", true, rounds());
  run("hidden=1024,pdl=on,residual=add,residual_placement=out_of_place", true, rounds());
}

TEST_F(PdlChain, YIsNotOverwrittenWhileThePredecessorStillReadsIt) {
  if (!runtime) return;
  run("hidden=1024,pdl=on", false, rounds());
  run("hidden=1024,pdl=on,constant_weight=on,residual=add,residual_placement=out_of_place", false,
      rounds());
}

}  // namespace
}  // namespace rmsjit::gpu
