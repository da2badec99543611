// SPDX-License-Identifier: Apache-2.0
// What belongs to the host is the same before and after every exported function, with an NVRTC that
// meddles: limits, signals, locale, folder, floating point, cancel state, CUDA context and capture
// mode; and no descriptor is left when the runtime is closed.
#include "tests/runtime/host_state.h"

#include <fenv.h>
#include <gtest/gtest.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <fstream>
#include <functional>
#include <set>

#include "tests/runtime/runtime_fixture.h"

namespace rmsjit {
namespace {

class HostState : public RuntimeTest {
 protected:
  void SetUp() override {
    RuntimeTest::SetUp();
    ASSERT_TRUE(make_runtime(on_disk()).precompile(spec_of("hidden=64"), {90, false}).ok());
    runtime_.reset();
    // A host with habits of its own.
    setenv("RMSJIT_FAKE_NVRTC_MEDDLES", "1", 1);
    signal(SIGTERM, [](int) {});
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_ALL, "C.UTF-8");
    const rlimit stack{6u << 20, 64u << 20};
    setrlimit(RLIMIT_STACK, &stack);
    fesetround(FE_UPWARD);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, nullptr);
    push(stub_.make_context(1));
  }
  void TearDown() override { fesetround(FE_TONEAREST); }

  // Calls `function` (its name, and what is particular about this call).
  void call(const std::string& function, const char* what, rmsjit_status expected,
            const std::function<rmsjit_status()>& body) {
    called_.insert(function);
    const auto before = host_state();
    const CUcontext context = current();
    const CUstreamCaptureMode mode = stub_.thread_mode();
    EXPECT_EQ(body(), expected) << function << " " << what << ": " << error_.message;
    EXPECT_EQ(host_state(), before) << function << " " << what;
    EXPECT_EQ(current(), context) << function << " " << what;
    EXPECT_EQ(stub_.thread_mode(), mode) << function << " " << what;
  }
  void make(int32_t compile) {
    rmsjit_options options{.struct_size = sizeof options};
    cache_dir_ = dir_.path("cache");
    options.cache_dir = cache_dir_.c_str();
    options.compile = compile;
    options.nvrtc = RMSJIT_TEST_FAKE_NVRTC;
    options.worker = RMSJIT_TEST_WORKER;
    call("rmsjit_runtime_create", "", RMSJIT_OK,
         [&] { return rmsjit_runtime_create(&options, &handle_, &error_); });
  }
  void close() {
    call("rmsjit_runtime_close", "", RMSJIT_OK, [&] {
      rmsjit_runtime_close(handle_);
      return RMSJIT_OK;
    });
  }
  void compile(const char* what) {
    const rmsjit_spec good = to_c(spec_of("hidden=" + std::to_string(next_hidden_++)));
    // The fake makes PTX alone, so that there is no cubin.
    call("rmsjit_precompile", what, RMSJIT_OK,
         [&] { return rmsjit_precompile(handle_, &good, "compute_90", &error_); });
    call("rmsjit_precompile", what, RMSJIT_DAMAGED,
         [&] { return rmsjit_precompile(handle_, &good, "sm_90", &error_); });
  }
  void prepare_and_launch();
  void texts();
  void others();

  rmsjit_runtime* handle_ = nullptr;
  rmsjit_error error_{};
  std::string cache_dir_;
  int next_hidden_ = 1000;
  std::set<std::string> called_;
};

void HostState::prepare_and_launch() {
  const rmsjit_spec spec = to_c(spec_of("hidden=64")), bad = to_c(spec_of("hidden=63"));
  const rmsjit_kernel* kernel = nullptr;
  const auto prepare = [&](const rmsjit_spec& given, int device) {
    return [&, device] { return rmsjit_prepare(handle_, &given, device, &kernel, &error_); };
  };
  call("rmsjit_prepare", "on another device", RMSJIT_OK, prepare(spec, 0));
  call("rmsjit_prepare", "that fails", RMSJIT_DAMAGED, prepare(bad, 1));
  call("rmsjit_prepare", "in the current context", RMSJIT_OK, prepare(spec, 1));
  call("rmsjit_prepare_many", "", RMSJIT_OK, [&] {
    return rmsjit_prepare_many(handle_, &spec, 1, 1, nullptr, nullptr, nullptr, &error_);
  });
  call("rmsjit_find", "", RMSJIT_OK,
       [&] { return rmsjit_find(handle_, &spec, 1) == kernel ? RMSJIT_OK : RMSJIT_NOT_FOUND; });
  rmsjit_kernel_info info{.struct_size = sizeof info};
  call("rmsjit_kernel_info_get", "", RMSJIT_OK,
       [&] { return rmsjit_kernel_info_get(kernel, &info, &error_); });
  const rmsjit_args args = args_of(64, 1);
  const CUstream stream = stub_.make_stream(current());
  call("rmsjit_kernel_launch", "", RMSJIT_OK,
       [&] { return rmsjit_kernel_launch(kernel, &args, stream, &error_); });
  const auto launch = [&](int device) {
    return [&, device] { return rmsjit_launch(handle_, &spec, device, &args, stream, &error_); };
  };
  call("rmsjit_launch", "", RMSJIT_OK, launch(1));
  call("rmsjit_launch", "on the wrong device", RMSJIT_WRONG_DEVICE, launch(0));
}

void HostState::texts() {
  rmsjit_spec spec{.struct_size = sizeof spec};
  call("rmsjit_spec_parse", "", RMSJIT_OK,
       [&] { return rmsjit_spec_parse("hidden=64", &spec, &error_); });
  char text[64];
  call("rmsjit_spec_text", "", RMSJIT_OK,
       [&] { return rmsjit_spec_text(&spec, text, sizeof text, nullptr, &error_); });
  call("rmsjit_apply_profile", "", RMSJIT_OK,
       [&] { return rmsjit_apply_profile("flashinfer", nullptr, &spec, &error_); });
  char* json = nullptr;
  const char* config = R"({"model_type":"llama","hidden_size":64,"rms_norm_eps":1e-6})";
  call("rmsjit_keys_for_model", "", RMSJIT_OK,
       [&] { return rmsjit_keys_for_model(config, nullptr, 0, &json, &error_); });
  call("rmsjit_free", "", RMSJIT_OK, [&] {
    rmsjit_free(json);
    return RMSJIT_OK;
  });
  call("rmsjit_version", "", RMSJIT_OK,
       [] { return rmsjit_version() != nullptr ? RMSJIT_OK : RMSJIT_INTERNAL; });
}

void HostState::others() {
  rmsjit_stats stats{.struct_size = sizeof stats};
  call("rmsjit_stats_get", "", RMSJIT_OK,
       [&] { return rmsjit_stats_get(handle_, &stats, &error_); });
  call("rmsjit_forget_device", "", RMSJIT_OK,
       [&] { return rmsjit_forget_device(handle_, 0, &error_); });
  call("rmsjit_seal", "", RMSJIT_OK, [&] {
    rmsjit_seal(handle_);
    return RMSJIT_OK;
  });
}

TEST_F(HostState, IsTheSameBeforeAndAfterEveryExportedFunction) {
  make(RMSJIT_COMPILE_INPROCESS);
  compile("first in this process");
  close();
  const auto files = open_descriptors();
  for (const int32_t where : {RMSJIT_COMPILE_INPROCESS, RMSJIT_COMPILE_WORKER}) {
    make(where);
    compile(where == RMSJIT_COMPILE_WORKER ? "in a worker" : "in this process");
    prepare_and_launch();
    texts();
    others();
    close();
    EXPECT_EQ(open_descriptors(), files);
  }
  EXPECT_FALSE(has_children());

  std::set<std::string> exported;
  std::ifstream list(RMSJIT_EXPORTS);
  for (std::string name; std::getline(list, name);) exported.insert(name);
  EXPECT_EQ(called_, exported);
}

}  // namespace
}  // namespace rmsjit
