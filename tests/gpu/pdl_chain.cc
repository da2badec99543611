// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/pdl_chain.h"

#include <cstring>
#include <random>

#include "tests/gpu/gpu_fixture.h"
#include "tests/reference.h"

namespace rmsjit::gpu {
namespace {

using Does = Neighbours::Does;

// The neighbours move 16 bytes at a time.
bench::Buffer buffer_of(const bench::Cuda& cuda, DType dtype, int64_t elements) {
  const auto bytes = static_cast<size_t>(elements * dtype_bytes(dtype));
  bench::Buffer buffer(cuda, (bytes + 15) / 16 * 16);
  buffer.fill(0);
  return buffer;
}

bench::Buffer random_buffer(const bench::Cuda& cuda, DType dtype, int64_t elements, size_t seed) {
  std::minstd_rand random(static_cast<unsigned>(seed));
  bench::Buffer buffer = buffer_of(cuda, dtype, elements);
  std::vector<char> bytes(buffer.bytes());
  const auto size = static_cast<size_t>(dtype_bytes(dtype));
  for (size_t i = 0; i < static_cast<size_t>(elements); ++i) {
    const float value = static_cast<float>(random() % 4001) / 1000 - 2;
    const uint32_t bits = reference::encode(dtype, value);
    std::memcpy(&bytes[i * size], &bits, size);
  }
  buffer.upload(bytes.data(), bytes.size());
  return buffer;
}

void copy(bench::Buffer& to, const bench::Buffer& from) {
  const std::vector<char> bytes = bytes_of(from);
  to.upload(bytes.data(), bytes.size());
}

}  // namespace

PdlChain::PdlChain(const bench::Cuda& cuda, const bench::Stream& stream,
                   const Neighbours& neighbours, const NormSpec& spec, const rmsjit_kernel* kernel,
                   const Shape& shape)
    : cuda_(cuda),
      stream_(stream),
      neighbours_(neighbours),
      spec_(spec),
      kernel_(kernel),
      shape_(shape),
      wrong_(cuda, 16) {
  const int64_t elements = shape.tokens * shape.heads * spec.hidden;
  const DType r = spec.residual_dtype_resolved();
  for (size_t i = 0; i < 2; ++i) {
    inputs_[i].x = random_buffer(cuda, spec.x_dtype(), elements, 3 * i + 1);
    // A promised constant is the same for both.
    const size_t weights = spec.constant_weight == ConstantWeight::kOn ? 0 : i;
    if (spec.has_residual()) inputs_[i].residual = random_buffer(cuda, r, elements, 3 * i + 2);
    if (spec.has_weight())
      inputs_[i].weight = random_buffer(cuda, spec.weight_dtype(), spec.hidden, 3 * weights + 3);
    expected_y_[i] = buffer_of(cuda, spec.y_dtype(), elements);
    if (spec.has_residual()) expected_residual_[i] = buffer_of(cuda, r, elements);
  }
  live_.x = buffer_of(cuda, spec.x_dtype(), elements);
  if (spec.has_weight()) live_.weight = buffer_of(cuda, spec.weight_dtype(), spec.hidden);
  if (spec.has_residual()) live_.residual = buffer_of(cuda, r, elements);
  if (spec.has_residual()) residual_out_ = buffer_of(cuda, r, elements);
  for (int i = 0; i < shape.norms; ++i) y_.push_back(buffer_of(cuda, spec.y_dtype(), elements));
  if (spec.has_weight()) copy(live_.weight, inputs_[0].weight);
  wrong_.fill(0);
}

char* PdlChain::last_y() const {
  return spec_.y_placement == YPlacement::kInPlace ? live_.x.data() : y_.back().data();
}

char* PdlChain::residual_out() const {
  return spec_.residual_placement == ResidualPlacement::kInPlace ? live_.residual.data()
                                                                 : residual_out_.data();
}

void PdlChain::write_inputs(CUstream stream, size_t which) {
  const Inputs& in = inputs_[which];
  std::vector<Neighbours::Piece> pieces{{Does::kCopies, live_.x.data(), in.x.data(), in.x.bytes()}};
  const auto add = [&](const bench::Buffer& to, const bench::Buffer& from) {
    pieces.push_back({Does::kCopies, to.data(), from.data(), from.bytes()});
  };
  if (spec_.has_residual()) add(live_.residual, in.residual);
  if (spec_.has_weight() && spec_.constant_weight == ConstantWeight::kOff)
    add(live_.weight, in.weight);
  neighbours_.late(stream, pieces, wrong_);
}

// In place: what was just written. Out of place: what the round before left.
void PdlChain::expect_before(CUstream stream, size_t which) {
  const bench::Buffer& y =
      spec_.y_placement == YPlacement::kInPlace ? inputs_[which].x : expected_y_[1 - which];
  std::vector<Neighbours::Piece> pieces{{Does::kCompares, last_y(), y.data(), y.bytes()}};
  if (spec_.has_residual()) {
    const bool in_place = spec_.residual_placement == ResidualPlacement::kInPlace;
    const bench::Buffer& r = in_place ? inputs_[which].residual : expected_residual_[1 - which];
    pieces.push_back({Does::kCompares, residual_out(), r.data(), r.bytes()});
  }
  neighbours_.late(stream, pieces, wrong_);
}

void PdlChain::expect_after(CUstream stream, size_t which) {
  const bench::Buffer& y = expected_y_[which];
  std::vector<Neighbours::Piece> pieces{{Does::kCompares, last_y(), y.data(), y.bytes()}};
  if (spec_.has_residual()) {
    const bench::Buffer& r = expected_residual_[which];
    pieces.push_back({Does::kCompares, residual_out(), r.data(), r.bytes()});
  }
  neighbours_.late(stream, pieces, wrong_);
}

void PdlChain::norms(CUstream stream) {
  const bool in_place = spec_.y_placement == YPlacement::kInPlace;
  rmsjit_args args{};
  args.struct_size = sizeof args;
  args.x = live_.x.data();
  args.tokens = shape_.tokens;
  args.heads = shape_.heads;
  args.x_head_stride = args.y_head_stride = spec_.hidden;
  args.x_token_stride = args.y_token_stride = shape_.heads * spec_.hidden;
  args.eps = 1e-6f;
  if (spec_.has_weight()) args.weight = live_.weight.data();
  if (spec_.has_residual()) {
    args.residual = live_.residual.data();
    args.residual_out = residual_out();
    args.residual_head_stride = args.residual_out_head_stride = spec_.hidden;
    args.residual_token_stride = args.residual_out_token_stride = args.x_token_stride;
  }
  for (bench::Buffer& y : y_) {
    args.y = in_place ? live_.x.data() : y.data();
    rmsjit_error error{};
    if (rmsjit_kernel_launch(kernel_, &args, stream, &error) != RMSJIT_OK) {
      throw bench::CudaError(error.message);
    }
    args.x = args.y;
  }
}

bool PdlChain::learn() {
  for (size_t which : {0, 1}) {
    write_inputs(stream_.get(), which);
    stream_.synchronize();
    std::vector<char> bytes(expected_y_[which].bytes());
    norms(stream_.get());
    stream_.synchronize();
    cuda_.check(cuda_.api().cuMemcpyDtoH(bytes.data(), reinterpret_cast<CUdeviceptr>(last_y()),
                                         bytes.size()),
                "cuMemcpyDtoH");
    expected_y_[which].upload(bytes.data(), bytes.size());
    if (!spec_.has_residual()) continue;
    copy(expected_residual_[which],
         spec_.residual_placement == ResidualPlacement::kInPlace ? live_.residual : residual_out_);
  }
  return bytes_of(expected_y_[0]) != bytes_of(expected_y_[1]);
}

void PdlChain::enqueue(CUstream stream, Before before, int rounds) {
  for (int i = 0; i < rounds; ++i) {
    const auto which = static_cast<size_t>(i % 2);
    write_inputs(stream, which);
    if (before == Before::kLateReader) expect_before(stream, which);
    norms(stream);
    expect_after(stream, which);
  }
}

unsigned PdlChain::wrong() {
  stream_.synchronize();
  unsigned count = 0;
  wrong_.download(&count, sizeof count);
  wrong_.fill(0);
  return count;
}

}  // namespace rmsjit::gpu
