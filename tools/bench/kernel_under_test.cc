// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/kernel_under_test.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <random>
#include <stdexcept>

#include "runtime/usual_launch.h"

namespace rmsjit::bench {
namespace {

constexpr size_t kPiece = 1 << 18;  // elements

// Values around 1 in any of the three types.
std::vector<char> random_piece(DType dtype) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  std::vector<char> out(kPiece * static_cast<size_t>(dtype_bytes(dtype)));
  for (size_t i = 0; i < kPiece; ++i) {
    const float value = normal(random);
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (dtype == DType::kF32) {
      std::memcpy(&out[4 * i], &bits, 4);
    } else {
      const uint32_t sign = bits >> 16 & 0x8000u;
      const uint32_t exponent = bits >> 23 & 0xffu;
      const uint16_t half =
          dtype == DType::kBf16 ? static_cast<uint16_t>(bits >> 16)
          : exponent < 113
              ? static_cast<uint16_t>(sign)
              : static_cast<uint16_t>(sign | (exponent - 112) << 10 | (bits >> 13 & 0x3ffu));
      std::memcpy(&out[2 * i], &half, 2);
    }
  }
  return out;
}

// Made once for each type, and uploaded as often as it fits: sets by the hundred are filled so.
const std::vector<char>& piece_of(DType dtype) {
  static std::map<DType, std::vector<char>> pieces;
  std::vector<char>& piece = pieces[dtype];
  if (piece.empty()) piece = random_piece(dtype);
  return piece;
}

Buffer random_buffer(const Cuda& cuda, DType dtype, size_t elements, CUstream stream) {
  Buffer buffer(cuda, elements * static_cast<size_t>(dtype_bytes(dtype)));
  const std::vector<char>& piece = piece_of(dtype);
  for (size_t at = 0; at < buffer.bytes(); at += piece.size()) {
    buffer.upload(piece.data(), std::min(piece.size(), buffer.bytes() - at), at, stream);
  }
  return buffer;
}

}  // namespace

std::vector<TensorSet> make_tensor_sets(const Cuda& cuda, const NormSpec& spec, int64_t rows,
                                        int sets, CUstream stream) {
  const size_t elements = static_cast<size_t>(rows * spec.hidden);
  std::vector<TensorSet> out(static_cast<size_t>(sets));
  for (TensorSet& set : out) {
    set.x = random_buffer(cuda, spec.x_dtype(), elements, stream);
    if (spec.has_weight()) {
      set.weight =
          random_buffer(cuda, spec.weight_dtype(), static_cast<size_t>(spec.hidden), stream);
    }
    if (spec.has_residual()) {
      set.residual = random_buffer(cuda, spec.residual_dtype_resolved(), elements, stream);
      set.residual_out = Buffer(cuda, set.residual.bytes());
    }
    set.y = Buffer(cuda, elements * static_cast<size_t>(dtype_bytes(spec.y_dtype())));
  }
  return out;
}

rmsjit_args contiguous_args(const NormSpec& spec, const TensorSet& set, int64_t rows) {
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = set.x.data();
  args.y = spec.y_placement == YPlacement::kInPlace ? set.x.data() : set.y.data();
  args.tokens = rows;
  args.heads = 1;
  args.x_token_stride = args.y_token_stride = spec.hidden;
  args.x_head_stride = args.y_head_stride = spec.hidden;
  if (spec.has_weight()) args.weight = set.weight.data();
  if (spec.has_residual()) {
    const bool in_place = spec.residual_placement == ResidualPlacement::kInPlace;
    args.residual = set.residual.data();
    args.residual_out = in_place ? set.residual.data() : set.residual_out.data();
    args.residual_token_stride = args.residual_out_token_stride = spec.hidden;
    args.residual_head_stride = args.residual_out_head_stride = spec.hidden;
  }
  args.eps = 1e-6f;
  return args;
}

KernelUnderTest::KernelUnderTest(const Cuda& cuda, const KernelId& id, const std::string& image)
    : cuda_(cuda),
      id_(id),
      facts_(id.spec, id.tuning, id.target,
             cuda.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)) {
  cuda.check(cuda.api().cuModuleLoadData(&module_, image.data()), "cuModuleLoadData");
  for (int i = 0; i < kKernelEntries; ++i) {
    const auto entry = static_cast<KernelEntry>(i);
    if (!has_entry(id.tuning, entry)) continue;
    CUfunction& function = functions_[i];
    cuda.check(cuda.api().cuModuleGetFunction(&function, module_, entry_name(entry)),
               "cuModuleGetFunction");
    const auto allow = [&](CUfunction_attribute attribute, int value) {
      cuda.check(cuda.api().cuFuncSetAttribute(function, attribute, value), "cuFuncSetAttribute");
    };
    const Schedule& schedule = schedule_of(id.tuning, entry);
    const int shared = dynamic_shared_bytes(id.spec, schedule);
    if (schedule.cluster > 8) allow(CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED, 1);
    if (shared != 0) allow(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, shared);
  }
}

KernelUnderTest::~KernelUnderTest() { cuda_.api().cuModuleUnload(module_); }

void KernelUnderTest::launch(CUstream stream, const TensorSet& set, int64_t rows) const {
  const KernelEntry entry = choose_entry(facts_, rows, facts_.extras_are_packed);
  launch(stream, contiguous_args(id_.spec, set, rows),
         rows_per_block(schedule_of(id_.tuning, entry), facts_.has_heads, rows,
                        facts_.multiprocessors),
         entry);
}

void KernelUnderTest::launch(CUstream stream, const rmsjit_args& args, int rows_a_block,
                             KernelEntry extra) const {
  const NormSpec& spec = id_.spec;
  LaunchBlock block;
  const Status status = make_launch_block(facts_, args, block);
  if (!status.ok()) throw std::runtime_error(status.message());
  const bool packed = takes_packed(spec, id_.tuning, block.entry);
  KernelEntry entry = packed ? KernelEntry::kPacked : KernelEntry::kAny;
  const bool there = extra > KernelEntry::kAny && has_entry(id_.tuning, extra);
  if (there && packed == facts_.extras_are_packed) entry = extra;
  const Schedule& schedule = schedule_of(id_.tuning, entry);
  const int most = schedule.max_rows_per_block;
  const LaunchGrid grid = launch_grid(schedule.cluster, facts_.has_heads, args.tokens,
                                      facts_.has_heads ? args.heads : 1,
                                      facts_.has_heads ? std::min(rows_a_block, most) : most);
  if (facts_.has_heads) put_heads(grid, block.params);
  CUlaunchAttribute pdl{};
  pdl.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  pdl.value.programmaticStreamSerializationAllowed = 1;
  CUlaunchConfig config{};
  config.gridDimX = grid.x;
  config.gridDimY = grid.y;
  config.blockDimX = static_cast<unsigned>(schedule.threads_per_row);
  config.blockDimY = grid.rows;
  config.gridDimZ = config.blockDimZ = 1;
  config.sharedMemBytes = static_cast<unsigned>(dynamic_shared_bytes(spec, schedule));
  config.hStream = stream;
  config.attrs = &pdl;
  config.numAttrs = spec.pdl == Pdl::kOn ? 1 : 0;
  void* arguments[] = {&block.params};
  cuda_.check(cuda_.api().cuLaunchKernelEx(&config, functions_[static_cast<int>(entry)], arguments,
                                           nullptr),
              "cuLaunchKernelEx");
}

}  // namespace rmsjit::bench
