// SPDX-License-Identifier: Apache-2.0
// A norm between neighbours that trigger early and work late, round after round with two sets of
// inputs in turn: whoever reads too early sees the other set, and whoever writes too early is seen
// by the reader before it.
#ifndef RMSJIT_TESTS_GPU_PDL_CHAIN_H_
#define RMSJIT_TESTS_GPU_PDL_CHAIN_H_

#include <vector>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec.h"
#include "tests/gpu/neighbours.h"

namespace rmsjit::gpu {

class PdlChain {
 public:
  enum class Before {
    kLateWriter,  // of x, the residual and, unless it is promised constant, the weight
    kLateReader,  // of y and residual_out as they were: in place of x and the residual, or not
  };
  struct Shape {
    int64_t tokens = 1, heads = 1;
    int norms = 1;  // one after the other, each on the y of the one before
  };
  PdlChain(const bench::Cuda& cuda, const bench::Stream& stream, const Neighbours& neighbours,
           const NormSpec& spec, const rmsjit_kernel* kernel, const Shape& shape);

  // Runs both inputs with nothing beside them; whether they differ in y, as they have to.
  bool learn();
  // An even number of rounds on a stream, each with a late comparison behind it.
  void enqueue(CUstream stream, Before before, int rounds);
  // How many threads saw a wrong pack since the last call.
  unsigned wrong();

 private:
  struct Inputs {
    bench::Buffer x, residual, weight;
  };
  void write_inputs(CUstream stream, size_t which);
  void expect_before(CUstream stream, size_t which);
  void expect_after(CUstream stream, size_t which);
  void norms(CUstream stream);
  char* last_y() const;
  char* residual_out() const;

  const bench::Cuda& cuda_;
  const bench::Stream& stream_;
  const Neighbours& neighbours_;
  const NormSpec spec_;
  const rmsjit_kernel* kernel_;
  const Shape shape_;
  Inputs inputs_[2], live_;
  std::vector<bench::Buffer> y_;  // one a norm; unused in place
  bench::Buffer residual_out_, expected_y_[2], expected_residual_[2], wrong_;
};

}  // namespace rmsjit::gpu

#endif  // RMSJIT_TESTS_GPU_PDL_CHAIN_H_
