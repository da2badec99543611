// SPDX-License-Identifier: Apache-2.0
#include "tools/bench/compile_cost.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <span>
#include <vector>

#include "rmsjit/spec_text.h"
#include "runtime/nvrtc_library.h"
#include "templates/embedded_templates.h"
#include "tools/bench/cuda_session.h"

namespace rmsjit {
std::span<const EmbeddedFile> embedded_bench_sources();
}

namespace rmsjit::bench {
namespace {

double compile_ms(const NvrtcLibrary& nvrtc, const CompileJob& job) {
  const Result<CompiledImage> image = nvrtc.compile(job);
  if (!image.ok()) throw CudaError(image.message());
  return image->compile_ms;
}

}  // namespace

void compile_cost(const std::string& nvrtc_path, int rounds) {
  NvrtcSearch search;
  search.chosen = absolute_path(nvrtc_path);
  search.object_folder = own_object_folder();
  const auto nvrtc = NvrtcLibrary::open(search);
  if (!nvrtc.ok()) throw CudaError(nvrtc.message());
  const Result<KernelId> id = KernelId::make(*parse_spec("hidden=4096,x=bf16"), Target{90});
  if (!id.ok()) throw CudaError(id.message());
  const CompileJob ours = make_job(make_compile_request(*id));
  CompileJob reduced = ours;
  const EmbeddedFile& source = embedded_bench_sources()[0];
  reduced.files = {{source.name, std::string(source.text)}};
  std::vector<double> ours_ms, reduced_ms;
  compile_ms(**nvrtc, reduced);
  for (int i = 0; i < rounds; ++i) {
    ours_ms.push_back(compile_ms(**nvrtc, ours));
    reduced_ms.push_back(compile_ms(**nvrtc, reduced));
  }
  const auto least = [](const std::vector<double>& v) {
    return *std::min_element(v.begin(), v.end());
  };
  std::puts(fmt::format("{} rounds, sm_90, NVRTC {}.{}, --no-cache; ms: median, least\n"
                        "template      {:7.1f} {:7.1f}\nhand-reduced  {:7.1f} {:7.1f}\n"
                        "ratio         {:7.2f} {:7.2f}",
                        rounds, (*nvrtc)->identity().major, (*nvrtc)->identity().minor,
                        median(ours_ms), least(ours_ms), median(reduced_ms), least(reduced_ms),
                        median(ours_ms) / median(reduced_ms), least(ours_ms) / least(reduced_ms))
                .c_str());
}

}  // namespace rmsjit::bench
