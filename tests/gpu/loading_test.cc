// SPDX-License-Identifier: Apache-2.0
// What prepare() has loaded by the driver's own word, and that a first launch asks it to load
// nothing: a driver may have room of its own for a function that is loaded late, so that a launch
// with no free memory alone says little.
#include <gtest/gtest.h>

#include "runtime/driver.h"
#include "runtime/launch_grid.h"
#include "runtime/launch_plan.h"
#include "tests/gpu/gpu_fixture.h"

namespace rmsjit::gpu {
namespace {

// Stands in the runtime's table of driver functions: notes each function of a module, and counts
// the calls that load.
class Watch {
 public:
  Watch() {
    table() = real();
    table().cuModuleLoadData = [](CUmodule* module, const void* image) {
      ++loads;
      return real().cuModuleLoadData(module, image);
    };
    table().cuModuleGetFunction = [](CUfunction* function, CUmodule module, const char* name) {
      const CUresult result = real().cuModuleGetFunction(function, module, name);
      functions.push_back(*function);
      loaded_when_found += is_loaded(*function);
      return result;
    };
    if (real().cuFuncLoad != nullptr) {
      table().cuFuncLoad = [](CUfunction function) {
        ++loads;
        return real().cuFuncLoad(function);
      };
    }
    functions.clear();
    loads = loaded_when_found = 0;
  }
  ~Watch() { table() = real(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Loaded now; -1 where the driver has no such question.
  static int is_loaded(CUfunction function) {
    static const auto ask =
        reinterpret_cast<decltype(&::cuFuncIsLoaded)>(driver_symbol("cuFuncIsLoaded"));
    CUfunctionLoadingState state = CU_FUNCTION_LOADING_STATE_UNLOADED;
    if (ask == nullptr || ask(&state, function) != CUDA_SUCCESS) return -1;
    return state == CU_FUNCTION_LOADING_STATE_LOADED;
  }

  static inline std::vector<CUfunction> functions;
  static inline int loads = 0, loaded_when_found = 0;

 private:
  // The runtime's own table, which is no constant: Driver::get() made it.
  static DriverFunctions& table() {
    return const_cast<DriverFunctions&>((*Driver::get())->functions());
  }
  static const DriverFunctions& real() {
    static const DriverFunctions kReal = table();
    return kReal;
  }
};

class Loading : public OnDevice {
 protected:
  // The first launch of each entry that such rows can take: of one row, of the fewest that are not
  // few, of many, and of rows that are not packed.
  void launch_each(const NormSpec& spec, const Tuning& tuning, const rmsjit_kernel* kernel) {
    const int multiprocessors = cuda->attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
    const auto beyond_few = static_cast<int64_t>(few_rows(tuning.few, multiprocessors).count);
    const auto many = static_cast<int64_t>(many_rows(tuning.many, multiprocessors).first);
    const int64_t most = std::max({beyond_few, many, int64_t{1}});
    const auto set = std::move(bench::make_tensor_sets(*cuda, spec, most + 1, 1)[0]);
    rmsjit_args args = tight_args(spec, set, 1);
    for (const int64_t rows : {int64_t{1}, std::max<int64_t>(beyond_few, 1), most}) {
      args.tokens = rows;
      expect_launch(kernel, args, stream->get());
    }
    args.x = static_cast<const char*>(args.x) + dtype_bytes(spec.x_dtype());
    expect_launch(kernel, args, stream->get());
    stream->synchronize();
  }
};

TEST_F(Loading, EveryEntryOfAPreparedKeyIsLoadedBeforeItsFirstLaunch) {
  if (driver_symbol("cuFuncIsLoaded") == nullptr) GTEST_SKIP() << "a driver older than CUDA 12.4";
  const Watch watch;
  for (const char* text : {"hidden=4096", "hidden=1032,weight_form=one_plus",
                           "hidden=1024,residual=add", "hidden=65536,x=f32", "hidden=262144"}) {
    SCOPED_TRACE(text);
    const NormSpec spec = spec_of(text);
    Watch::functions.clear();
    const rmsjit_kernel* kernel = runtime->prepare(spec);
    ASSERT_NE(kernel, nullptr);
    const Tuning tuning = launch_plan(spec, Target{cuda->sm()});
    EXPECT_EQ(Watch::functions.size(), 2u + (tuning.few ? 1 : 0) + (tuning.many ? 1 : 0));
    for (const CUfunction function : Watch::functions) EXPECT_EQ(Watch::is_loaded(function), 1);
    const int loads = Watch::loads;
    launch_each(spec, tuning, kernel);
    EXPECT_EQ(Watch::loads, loads) << "a launch loads nothing";
  }
  RecordProperty("loaded_when_found", Watch::loaded_when_found);
  if (Watch::loaded_when_found != 0) {
    GTEST_SKIP() << "this driver loads what it finds by name: prepare has nothing to force here";
  }
}

}  // namespace
}  // namespace rmsjit::gpu
