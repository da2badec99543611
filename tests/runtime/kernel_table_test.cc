// SPDX-License-Identifier: Apache-2.0
#include "runtime/kernel_table.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "rmsjit/spec_c.h"
#include "rmsjit/spec_text.h"

namespace rmsjit {
namespace {

// The table never looks inside a kernel.
const LoadedKernel* kernel(uint64_t n) { return reinterpret_cast<const LoadedKernel*>(n << 4); }

rmsjit_spec spec_of(const std::string& text) { return to_c(*parse_spec(text)); }

TEST(PackWord, EveryFieldAndEveryValueHasItsOwnBits) {
  std::map<uint64_t, std::string> seen;
  const auto expect_new = [&](const rmsjit_spec& spec, int device, const std::string& what) {
    const uint64_t word = pack_word(spec, device);
    EXPECT_NE(word, 0u) << what;
    const auto [it, fresh] = seen.emplace(word, what);
    EXPECT_TRUE(fresh) << what << " and " << it->second;
  };
  NormSpec base;
  base.hidden = 4096;
  expect_new(to_c(base), 0, "base");
  expect_new(to_c(base), 1, "device 1");
  expect_new(to_c(base), 32767, "device 32767");
  for (const int64_t hidden : {1, 2, 4095, 4097, 262143, 262144}) {
    NormSpec spec = base;
    spec.hidden = hidden;
    expect_new(to_c(spec), 0, "hidden " + std::to_string(hidden));
  }
  for (const SpecField& field : kSpecFields) {
    for (int value = 1; value < field.value_count(); ++value) {
      NormSpec spec = base;
      field.set(spec, value);
      expect_new(to_c(spec), 0, std::string(field.name) + "=" + field.values[value]);
    }
  }
}

TEST(PackWord, AValueThatDoesNotFitIsLeftToTheSlowPath) {
  const rmsjit_spec good = spec_of("hidden=4096");
  EXPECT_EQ(pack_word(good, -1), 0u);
  EXPECT_EQ(pack_word(good, 32768), 0u);
  for (const int64_t hidden : {int64_t{0}, int64_t{-1}, int64_t{262145}, INT64_MIN, INT64_MAX}) {
    rmsjit_spec spec = good;
    spec.hidden = hidden;
    EXPECT_EQ(pack_word(spec, 0), 0u) << hidden;
  }
  for (int32_t rmsjit_spec::*field :
       {&rmsjit_spec::layout, &rmsjit_spec::x, &rmsjit_spec::weight, &rmsjit_spec::y,
        &rmsjit_spec::residual, &rmsjit_spec::residual_dtype, &rmsjit_spec::weight_form,
        &rmsjit_spec::y_placement, &rmsjit_spec::residual_placement, &rmsjit_spec::add_round,
        &rmsjit_spec::mul_round, &rmsjit_spec::root, &rmsjit_spec::pdl,
        &rmsjit_spec::constant_weight}) {
    for (const int32_t value : {-1, 8, INT32_MIN, INT32_MAX}) {
      rmsjit_spec spec = good;
      spec.*field = value;
      EXPECT_EQ(pack_word(spec, 0), 0u) << value;
    }
  }
}

TEST(KernelTable, HoldsWhatWasPutWhileItGrows) {
  KernelTable table;
  EXPECT_EQ(table.find(7), nullptr);
  EXPECT_EQ(table.find(0), nullptr);
  for (uint64_t i = 1; i <= 5000; ++i) table.insert(i * 0x100000001u, kernel(i));
  EXPECT_EQ(table.size(), 5000u);
  for (uint64_t i = 1; i <= 5000; ++i) ASSERT_EQ(table.find(i * 0x100000001u), kernel(i));
  EXPECT_EQ(table.find(0x100000002u), nullptr);
  table.insert(0x100000001u, kernel(9999));
  EXPECT_EQ(table.find(0x100000001u), kernel(9999));
  EXPECT_EQ(table.size(), 5000u);
}

TEST(KernelTable, ForgottenKernelsAreNotFoundAndMayComeBack) {
  KernelTable table;
  for (uint64_t i = 1; i <= 10; ++i) table.insert(i, kernel(i % 2 + 1));
  table.forget({kernel(1)});
  for (uint64_t i = 1; i <= 10; ++i) {
    EXPECT_EQ(table.find(i), i % 2 == 0 ? nullptr : kernel(2)) << i;
  }
  table.insert(2, kernel(5));
  EXPECT_EQ(table.find(2), kernel(5));
}

TEST(KernelTable, ReadersNeverWaitAndNeverSeeAWordWithoutItsKernel) {
  KernelTable table;
  std::atomic<bool> stop{false};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        for (uint64_t word = 1; word <= 3000; ++word) {
          const LoadedKernel* found = table.find(word);
          if (found != nullptr && found != kernel(word)) ADD_FAILURE() << word;
        }
      }
    });
  }
  for (uint64_t word = 1; word <= 3000; ++word) table.insert(word, kernel(word));
  stop = true;
  for (std::thread& reader : readers) reader.join();
}

}  // namespace
}  // namespace rmsjit
