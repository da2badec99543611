// SPDX-License-Identifier: Apache-2.0
// What the store's tests share: a store over a FakeCompiler, its warnings, and a few ids.
#ifndef RMSJIT_TESTS_RUNTIME_STORE_FIXTURE_H_
#define RMSJIT_TESTS_RUNTIME_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "rmsjit/spec_text.h"
#include "runtime/kernel_store.h"
#include "tests/runtime/fake_compiler.h"
#include "tests/runtime/temp_dir.h"

namespace rmsjit {

inline const std::vector<int> kCuda13{13, 12};

inline KernelId id_of(const std::string& text, const Target& target = {90, false}) {
  return *KernelId::make(*parse_spec(text), target);
}

// Waits for a condition that another thread brings about.
inline void wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::yield();
}

class KernelStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<KernelStore> make_store(StoreOptions options, FakeCompiler::Hook hook = {}) {
    options.log = [this](LogLevel level, const std::string& message) {
      const std::lock_guard lock(mutex_);
      (level == LogLevel::kWarning ? warnings_ : notes_).push_back(message);
    };
    auto compiler = std::make_unique<FakeCompiler>(log_, std::move(hook));
    compiler->unavailable = unavailable_;
    compiler->who.major = compiler_major_;
    return std::make_unique<KernelStore>(std::move(options), std::move(compiler));
  }
  StoreOptions on_disk() {
    StoreOptions options;
    options.cache_dir = dir_.path("cache");
    return options;
  }
  // The one file under cache_dir that is an entry.
  std::string entry_file(const std::string& below = "cache") {
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir_.path(below))) {
      if (file.path().extension() == ".rmsk") return file.path().string();
    }
    ADD_FAILURE() << "no entry under " << dir_.path(below);
    return "";
  }

  TempDir dir_;
  FakeCompiler::Log log_;
  Status unavailable_;
  int compiler_major_ = 13;
  std::mutex mutex_;
  std::vector<std::string> warnings_, notes_;
};

}  // namespace rmsjit

#endif  // RMSJIT_TESTS_RUNTIME_STORE_FIXTURE_H_
