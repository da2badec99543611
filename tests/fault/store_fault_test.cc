// SPDX-License-Identifier: Apache-2.0
// What a caller sees while every file call of a prepare fails, once and from then on, with every
// errno: the kernel, at most one warning of each kind, and a cache in which nothing is partial.
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <set>

#include "rmsjit/spec_text.h"
#include "runtime/kernel_store.h"
#include "tests/fault/sweep.h"
#include "tests/runtime/fake_compiler.h"

namespace rmsjit {
namespace {

class StoreFault : public testing::Test {
 protected:
  std::unique_ptr<KernelStore> make_store() {
    StoreOptions options;
    options.cache_dir = scratch_.dir();
    options.retry_ms = 0;
    options.log = [this](LogLevel level, const std::string& message) {
      (level == LogLevel::kWarning ? warnings_ : notes_).push_back(message);
    };
    return std::make_unique<KernelStore>(options, std::make_unique<FakeCompiler>(log_));
  }
  bool right(const Result<Acquired>& result) const {
    return result.ok() && result->entry.image == fake_image(make_compile_request(id_));
  }
  void expect_whole(const std::string& directory) {
    auto cache = DiskCache::open(directory, Mode::kReadOnly);
    if (!cache.ok()) return;
    const auto items = (*cache)->list(true);
    ASSERT_TRUE(items.ok()) << items.message();
    for (const EntryListing& item : *items) {
      EXPECT_EQ(item.lookup.kind, Kind::kHit) << item.lookup.reason;
    }
  }
  enum class Directory { kOpened, kNotYet };
  // Prepares under every fault; `before` says what is on the disk.
  int sweep(const std::function<void()>& before, const std::vector<Effect>& effects,
            Directory directory = Directory::kOpened) {
    std::unique_ptr<KernelStore> store;
    Result<Acquired> result = Status(StatusCode::kInternal, "not asked");
    return run_sweep({[&] {
                        store.reset();
                        fs::remove_all(scratch_.path() + "/cache");
                        before();
                        warnings_.clear();
                        store = make_store();
                        if (directory == Directory::kOpened) (void)store->find(id_, {13});
                      },
                      [&] {
                        result = store->acquire(id_, {13});
                        if (directory == Directory::kNotYet) store.reset();
                      },
                      [&](const Plan&, const Report& report) {
                        EXPECT_TRUE(right(result)) << result.message();
                        const std::set<std::string> kinds(warnings_.begin(), warnings_.end());
                        EXPECT_EQ(kinds.size(), warnings_.size()) << "a warning was repeated";
                        EXPECT_LE(warnings_.size(), expected_warnings_ + 1);
                        if (report.injected == 0) {
                          EXPECT_EQ(warnings_.size(), expected_warnings_);
                        }
                        expect_whole(scratch_.dir());
                        EXPECT_TRUE(right(make_store()->acquire(id_, {13}))) << "the next one";
                      }},
                     effects);
  }
  void publish() { ASSERT_TRUE(make_store()->acquire(id_, {13}).ok()); }
  std::string entry_file() const { return entry_path(scratch_.dir(), id_.cache_key(13).digest()); }

  Scratch scratch_;
  FakeCompiler::Log log_;
  std::vector<std::string> warnings_, notes_;
  size_t expected_warnings_ = 0;  // without a fault
  const KernelId id_ = *KernelId::make(*parse_spec("hidden=4096"), {90, false});
};

TEST_F(StoreFault, AColdKeyIsServedUnderEveryFault) {
  EXPECT_GT(sweep([] {}, {Effect::kFail, Effect::kFailAfter, Effect::kShort}), 100 * kErrorCount);
}

TEST_F(StoreFault, TheFirstKeyOfAProcessIsServedUnderEveryFault) {
  EXPECT_GT(sweep([] {}, {Effect::kFail}, Directory::kNotYet), 100 * kErrorCount);
  EXPECT_GT(sweep([&] { publish(); }, {Effect::kFail}, Directory::kNotYet), 20 * kErrorCount);
}

TEST_F(StoreFault, AKeyOnTheDiskIsServedUnderEveryFault) {
  EXPECT_GT(sweep([&] { publish(); }, {Effect::kFail, Effect::kShort}), 20 * kErrorCount);
}

TEST_F(StoreFault, ADamagedKeyIsServedUnderEveryFault) {
  expected_warnings_ = 1;  // the damage is told
  EXPECT_GT(sweep(
                [&] {
                  publish();
                  fs::resize_file(entry_file(), fs::file_size(entry_file()) / 2);
                },
                {Effect::kFail, Effect::kShort}),
            50 * kErrorCount);
}

// With n descriptors left, for every n up to what a prepare needs.
TEST_F(StoreFault, AProcessWithFewDescriptorsLeftIsServed) {
  for (int left = 0; left < 8; ++left) {
    const pid_t child = fork();
    if (child == 0) {
      auto store = make_store();
      const int used = open("/dev/null", O_RDONLY);
      const rlimit limit{static_cast<rlim_t>(used + left), static_cast<rlim_t>(used + left)};
      close(used);
      setrlimit(RLIMIT_NOFILE, &limit);
      _exit(right(store->acquire(id_, {13})) ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << left << " left: " << status;
    expect_whole(scratch_.dir());
    fs::remove_all(scratch_.dir());
  }
}

TEST_F(StoreFault, ANetworkFileSystemIsSaidOnce) {
  fault::pretend_file_system(0x6969);
  auto store = make_store();
  for (const char* text : {"hidden=64", "hidden=65", "hidden=66"}) {
    ASSERT_TRUE(store->acquire(*KernelId::make(*parse_spec(text), {90, false}), {13}).ok());
  }
  fault::pretend_file_system(0);
  const auto says_nfs = [](const std::string& note) {
    return note.find("network file system (nfs)") != std::string::npos;
  };
  EXPECT_EQ(std::count_if(notes_.begin(), notes_.end(), says_nfs), 1);
  EXPECT_TRUE(warnings_.empty()) << warnings_[0];
}

// As the cache's own test, with a compile behind it.
TEST_F(StoreFault, AFileSizeLimitIsNoSignalAndNoError) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_DFL);
    auto store = make_store();
    const rlimit limit{100, 100};
    setrlimit(RLIMIT_FSIZE, &limit);
    const bool served = right(store->acquire(id_, {13}));
    _exit(served && store->counters().write_failures > 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

}  // namespace
}  // namespace rmsjit
