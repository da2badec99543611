// SPDX-License-Identifier: Apache-2.0
#include "tests/nvrtc/nvrtc_fixture.h"

#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "rmsjit/spec_text.h"
#include "runtime/launch_plan.h"

namespace rmsjit {

CompilerOptions real_options() {
  CompilerOptions options;
  const char* chosen = getenv("RMSJIT_NVRTC");
  options.nvrtc = chosen != nullptr ? chosen : "";
  options.worker = RMSJIT_TEST_WORKER;
  options.timeout_ms = 300000;  // a shared machine may be slow
  options.warn = [](const std::string& text) { ADD_FAILURE() << text; };
  return options;
}

KernelId kernel_id(const std::string& spec_text, const std::string& target_name) {
  const auto target = parse_target(target_name);
  EXPECT_TRUE(target.ok()) << target.message();
  const auto spec = parse_spec(spec_text);
  EXPECT_TRUE(spec.ok()) << spec.message();
  if (!target.ok() || !spec.ok()) return {};
  const auto id = KernelId::make(*spec, *target);
  EXPECT_TRUE(id.ok()) << spec_text << ": " << id.message();
  return id.ok() ? *id : KernelId{};
}

CompileRequest request_for(const std::string& spec_text, const std::string& target_name) {
  return make_compile_request(kernel_id(spec_text, target_name));
}

void compile_each(const std::vector<KernelId>& ids,
                  const std::function<void(const KernelId&, const CompiledImage&)>& check) {
  const auto compiler = make_worker_compiler(real_options());
  std::atomic<size_t> next{0};
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    threads.emplace_back([&] {
      for (size_t at = next++; at < ids.size(); at = next++) {
        const auto image = compiler->compile(make_compile_request(ids[at]));
        const std::lock_guard<std::mutex> lock(mutex);
        if (image.ok()) {
          check(ids[at], *image);
        } else {
          ADD_FAILURE() << image.message();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

void expect_shippable(const KernelId& id, const CompiledImage& image) {
  SCOPED_TRACE(spec_text(id.spec) + " for " + id.target.name() + ", " + tuning_text(id.tuning));
  EXPECT_EQ(image.stack_bytes, 0);
  EXPECT_EQ(image.spill_bytes, 0);
  // A constexpr variable in the template would be a global, and loading ten times as slow.
  EXPECT_EQ(image.image.find(".nv.global"), std::string::npos);
  EXPECT_GT(image.registers, 0);
  // Registers are given to a warp in units of 8 a thread, out of 65536 a multiprocessor.
  // Those of an image are its thirstiest entry's.
  int threads = id.tuning.threads_per_row * id.tuning.max_rows_per_block;
  for (const Tuning::Extra& extra : {id.tuning.few, id.tuning.many}) {
    if (extra) threads = std::min(threads, extra.threads_per_row * extra.max_rows_per_block);
  }
  EXPECT_LE((image.registers + 7) / 8 * 8 * threads, 65536) << threads << " threads a block";
  EXPECT_LE(image.shared_bytes, 48 * 1024);
  for (int i = 0; i < kKernelEntries; ++i) {
    const auto entry = static_cast<KernelEntry>(i);
    EXPECT_EQ(image.image.find(entry_name(entry)) != std::string::npos, has_entry(id.tuning, entry))
        << entry_name(entry);
  }
}

}  // namespace rmsjit
