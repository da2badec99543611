// SPDX-License-Identifier: Apache-2.0
#include "templates/render_spec.h"

#include <fmt/format.h>

#include "rmsjit/spec_text.h"

namespace rmsjit {
namespace {

const char* type_name(DType dtype) {
  switch (dtype) {
    case DType::kBf16:
      return "bf16_t";
    case DType::kF16:
      return "f16_t";
    case DType::kF32:
      return "f32_t";
    default:
      return "none_t";
  }
}

const char* add_round_name(AddRound round) {
  switch (round) {
    case AddRound::kUnrounded:
      return "kUnrounded";
    case AddRound::kStatsUnrounded:
      return "kStatsUnrounded";
    default:
      return "kRounded";
  }
}

// sizeof(Scratch<Spec>), which static_asserts this number.
int shared_bytes(const NormSpec& spec, const Tuning& tuning) {
  const int partial =
      tuning.threads_per_row > 32 ? tuning.threads_per_row * tuning.max_rows_per_block : 4;
  const int stash = tuning.shared_slots * tuning.threads_per_row * held_leaf_words(spec) / 4;
  return 16 * (stash > 0 ? stash : 1) + 4 * partial;
}

}  // namespace

int held_leaf_words(const NormSpec& spec) {
  if (!spec.has_residual()) return 2 * static_cast<int>(dtype_bytes(spec.x_dtype()));
  if (spec.add_round == AddRound::kUnrounded) return 8;
  return 2 * static_cast<int>(dtype_bytes(spec.residual_dtype_resolved()));
}

int dynamic_shared_bytes(const NormSpec& spec, const Tuning& tuning) {
  const int bytes = shared_bytes(spec, tuning);
  return bytes > 48 * 1024 ? bytes : 0;
}

std::string tuning_text(const Tuning& tuning) {
  return fmt::format("threads={},rows={},registers={},shared={},weight={},trigger={},chunk={}",
                     tuning.threads_per_row, tuning.max_rows_per_block, tuning.register_slots,
                     tuning.shared_slots, tuning.weight_early ? "early" : "late",
                     tuning.trigger_first ? "wait" : "loads", tuning.load_chunk);
}

std::string render_spec(const NormSpec& spec, const Tuning& tuning, const Target& target) {
  std::string text = fmt::format(
      "// {} on {}: {}\n"
      "#ifndef RMSJIT_SPEC_CUH\n#define RMSJIT_SPEC_CUH\n"
      "#include \"rmsnorm.cuh\"\n"
      "namespace rmsjit {{\nstruct Spec {{\n",
      spec_text(spec), target.name(), tuning_text(tuning));
  const auto type = [&](const char* name, DType dtype) {
    text += fmt::format("  using {} = {};\n", name, type_name(dtype));
  };
  const auto constant = [&](const char* kind, const char* name, const auto& value) {
    text += fmt::format("  static constexpr {} {} = {};\n", kind, name, value);
  };
  type("X", spec.x_dtype());
  type("W", spec.weight_dtype());
  type("R", spec.has_residual() ? spec.residual_dtype_resolved() : spec.x_dtype());
  type("Y", spec.y_dtype());
  constant("int", "kHidden", spec.hidden);
  constant("float", "kInvHidden", fmt::format("{:a}f", 1.0f / static_cast<float>(spec.hidden)));
  constant("bool", "kHeads", spec.layout == Layout::kHeads);
  constant("bool", "kHasWeight", spec.has_weight());
  constant("bool", "kOnePlus", spec.weight_form == WeightForm::kOnePlus);
  constant("bool", "kResidual", spec.has_residual());
  constant("bool", "kYInPlace", spec.y_placement == YPlacement::kInPlace);
  constant("bool", "kResidualInPlace", spec.residual_placement == ResidualPlacement::kInPlace);
  constant("AddRound", "kAddRound", fmt::format("AddRound::{}", add_round_name(spec.add_round)));
  constant("MulRound", "kMulRound",
           spec.mul_round == MulRound::kTwice ? "MulRound::kTwice" : "MulRound::kOnce");
  constant("bool", "kExactRoot", spec.root == Root::kExact);
  constant("bool", "kPdl", spec.pdl == Pdl::kOn);
  constant("bool", "kConstantWeight", spec.constant_weight == ConstantWeight::kOn);
  constant("int", "kThreads", tuning.threads_per_row);
  constant("int", "kMaxRows", tuning.max_rows_per_block);
  constant("int", "kRegisterSlots", tuning.register_slots);
  constant("int", "kSharedSlots", tuning.shared_slots);
  constant("bool", "kWeightEarly", tuning.weight_early);
  constant("bool", "kTriggerFirst", tuning.trigger_first);
  constant("int", "kChunk", tuning.load_chunk);
  constant("int", "kSharedBytes", shared_bytes(spec, tuning));
  return text + "};\n}  // namespace rmsjit\n#endif\n";
}

}  // namespace rmsjit
