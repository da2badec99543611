// SPDX-License-Identifier: Apache-2.0
// Greedy: while a pair is missing, take of some random canonical specs that hold a missing pair the
// one that covers the most missing pairs. A pair counts in the canonical spec only, so that it is
// not covered by a spec in which one of the two fields has no effect.
#include "tests/spec_set.h"

#include <array>
#include <random>
#include <string_view>

#include "rmsjit/spec_text.h"

namespace rmsjit {
namespace {

constexpr size_t kFields = std::size(kSpecFields) + 1;  // hidden last
using Values = std::array<int, kFields>;

// A pair of field values as one number below kPairs.
constexpr size_t kPairs = size_t{32} * 32 * 32 * 32;
size_t pair_id(size_t a, int va, size_t b, int vb) {
  return ((a * 32 + static_cast<size_t>(va)) * 32 + b) * 32 + static_cast<size_t>(vb);
}

class PairSet {
 public:
  bool has(size_t id) const { return in_[id]; }
  int size() const { return size_; }
  void insert(size_t id) { set(id, true); }
  void erase(size_t id) { set(id, false); }

 private:
  void set(size_t id, bool in) {
    size_ += static_cast<int>(in) - static_cast<int>(in_[id]);
    in_[id] = in;
  }
  std::vector<bool> in_ = std::vector<bool>(kPairs);
  int size_ = 0;
};

Values values_of(const NormSpec& spec) {
  Values values{};
  for (size_t f = 0; f + 1 < kFields; ++f) values[f] = kSpecFields[f].get(spec);
  // A dtype that is the same as x counts as the dtype that it is.
  const auto resolve = [&](DType same, DType dtype, size_t field) {
    if (same == DType::kDefault) values[field] = static_cast<int>(dtype);
  };
  for (size_t f = 0; f + 1 < kFields; ++f) {
    const std::string_view name = kSpecFields[f].name;
    if (name == "weight") resolve(spec.weight, spec.weight_dtype(), f);
    if (name == "y") resolve(spec.y, spec.y_dtype(), f);
    if (name == "residual_dtype" && spec.has_residual()) {
      resolve(spec.residual_dtype, spec.residual_dtype_resolved(), f);
    }
  }
  for (size_t i = 0; i < std::size(kCoveredHidden); ++i) {
    if (kCoveredHidden[i] == spec.hidden) values[kFields - 1] = static_cast<int>(i);
  }
  return values;
}

size_t field_index(std::string_view name) {
  for (size_t f = 0; f + 1 < kFields; ++f) {
    if (name == kSpecFields[f].name) return f;
  }
  return kFields;
}

template <class F>
void for_each_pair(const Values& values, const F& f) {
  for (size_t a = 0; a < kFields; ++a) {
    for (size_t b = a + 1; b < kFields; ++b) f(pair_id(a, values[a], b, values[b]));
  }
  // What meets in one expression of the kernel is covered in threes and fours: the types, and the
  // places of rounding.
  static const size_t kX = field_index("x"), kWeight = field_index("weight"), kY = field_index("y"),
                      kResidual = field_index("residual_dtype"), kAdd = field_index("add_round"),
                      kMul = field_index("mul_round");
  f(pair_id(kFields, values[kX], static_cast<size_t>(values[kWeight]), values[kY]));
  f(pair_id(kFields + 1, values[kX] * 2 + values[kMul], static_cast<size_t>(values[kResidual]),
            values[kAdd]));
}

NormSpec random_spec(std::mt19937& random, const Target& target) {
  for (;;) {
    NormSpec spec;
    spec.hidden = kCoveredHidden[random() % std::size(kCoveredHidden)];
    for (const SpecField& field : kSpecFields) {
      field.set(spec, static_cast<int32_t>(random() % static_cast<unsigned>(field.value_count())));
    }
    // Most fields say nothing without a residual.
    if (random() % 2 == 0) spec.residual = Residual::kAdd;
    if (validate(spec).ok() && (spec.pdl != Pdl::kOn || target.has_pdl())) {
      return canonical(spec, target);
    }
  }
}

// Every pair that some canonical spec holds. Random specs reach all: the rarest pair has a chance
// of more than one in a thousand.
PairSet feasible_pairs(const Target& target) {
  std::mt19937 random(1);
  PairSet pairs;
  for (int i = 0; i < 60000; ++i) {
    for_each_pair(values_of(random_spec(random, target)), [&](size_t id) { pairs.insert(id); });
  }
  return pairs;
}

int covered(const NormSpec& spec, const PairSet& missing) {
  int count = 0;
  for_each_pair(values_of(spec), [&](size_t id) { count += static_cast<int>(missing.has(id)); });
  return count;
}

}  // namespace

std::vector<NormSpec> covering_specs(const Target& target) {
  PairSet missing = feasible_pairs(target);
  std::mt19937 random(2);
  std::vector<NormSpec> specs;
  const auto take = [&](const NormSpec& spec) {
    specs.push_back(spec);
    for_each_pair(values_of(spec), [&](size_t id) { missing.erase(id); });
  };
  while (missing.size() > 0) {
    NormSpec best;
    int best_count = 0;
    for (int i = 0; i < 400 || best_count == 0; ++i) {
      const NormSpec spec = random_spec(random, target);
      const int count = covered(spec, missing);
      if (count > best_count) {
        best = spec;
        best_count = count;
      }
    }
    take(best);
  }
  for (int64_t hidden : kLongHidden) {
    NormSpec spec = random_spec(random, target);
    spec.hidden = hidden;
    specs.push_back(spec);
  }
  return specs;
}

PairCount count_pairs(std::span<const NormSpec> specs, const Target& target) {
  PairSet missing = feasible_pairs(target);
  const int feasible = missing.size();
  for (const NormSpec& spec : specs) {
    bool covered_hidden = false;
    for (int64_t hidden : kCoveredHidden) covered_hidden = covered_hidden || hidden == spec.hidden;
    if (!covered_hidden) continue;
    for_each_pair(values_of(spec), [&](size_t id) { missing.erase(id); });
  }
  return {feasible, missing.size()};
}

}  // namespace rmsjit
