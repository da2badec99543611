// SPDX-License-Identifier: Apache-2.0
#include "templates/render_spec.h"

#include <fmt/format.h>

#include <algorithm>

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

std::string cluster_dims(const Schedule& schedule) {
  return schedule.cluster > 1 ? fmt::format(" __cluster_dims__({}, 1, 1)", schedule.cluster) : "";
}

// How far apart the lanes of a row are that one thread reads (Spec::kLaneStride): as far as the row
// has lanes, if that is its own alone. A shuffle and its addition take some 27 cycles, and five of
// them are half of what a short row does between its loads and its stores. Where a block has so few
// warps that they hardly wait for each other (16 bytes for each lane of one take four cycles of the
// multiprocessor), a thread reads the sums of several lanes and joins them itself: 2 to 5 % of such
// a row. With several rows a block only where a row has so few lanes; a fused add needs a small
// block and a packed entry that branches (RowWork::kBranches), or it loses 1 to 3 %.
int lane_stride(const NormSpec& spec, const Schedule& schedule) {
  const int threads = schedule.threads_per_row;
  const int lanes = std::min(threads, 32), warps = std::max(threads / 32, 1);
  const int least = std::max(warps, 8 / leaf_elements(spec));
  const int rows = schedule.max_rows_per_block;
  const bool branches = spec.pdl != Pdl::kOn && leaf_elements(spec) == 8;
  const bool pays = rows == 1             ? warps <= 2
                    : spec.has_residual() ? branches && lanes <= 16 && rows * threads <= 128
                                          : lanes <= 8;
  return pays && schedule.cluster == 1 && lanes >= 4 * least ? least : lanes;
}

// sizeof(Scratch<Spec>), which static_asserts this number.
int shared_bytes(const NormSpec& spec, const Schedule& schedule) {
  const int threads = schedule.threads_per_row;
  const bool others_read = lane_stride(spec, schedule) < threads;
  const int partial = others_read ? threads * schedule.max_rows_per_block : 4;
  const int mail = schedule.cluster > 1 ? 128 * schedule.cluster + 16 : 0;
  const int stash = schedule.shared_slots * threads * held_leaf_words(spec) / 4;
  return 16 * (stash > 0 ? stash : 1) + 4 * partial + mail;
}

std::string schedule_text(const Schedule& schedule) {
  return fmt::format(
      "threads={},rows={},cluster={},registers={},shared={},weight={},trigger={},chunk={}",
      schedule.threads_per_row, schedule.max_rows_per_block, schedule.cluster,
      schedule.register_slots, schedule.shared_slots,
      schedule.weight_ahead   ? "ahead"
      : schedule.weight_early ? "early"
                              : "late",
      kTriggerNames[static_cast<int>(schedule.trigger)], schedule.load_chunk);
}

}  // namespace

const char* entry_name(KernelEntry entry) {
  switch (entry) {
    case KernelEntry::kPacked:
      return "rmsnorm_packed";
    case KernelEntry::kAny:
      return "rmsnorm_any";
    case KernelEntry::kFew:
      return "rmsnorm_few";
    case KernelEntry::kMany:
      return "rmsnorm_many";
  }
  return "";
}

int leaf_elements(const NormSpec& spec) {
  const auto wide = [](DType dtype) { return dtype == DType::kF32; };
  // The residual of a wide x is wide.
  return wide(spec.x_dtype()) && wide(spec.y_dtype()) &&
                 (!spec.has_weight() || wide(spec.weight_dtype()))
             ? 4
             : 8;
}

int leaves_of(const NormSpec& spec) {
  const int leaf = leaf_elements(spec);
  return static_cast<int>((spec.hidden + leaf - 1) / leaf);
}

bool realigns(const NormSpec& spec, int threads_per_row) {
  return spec.hidden % leaf_elements(spec) != 0 && threads_per_row >= 32;
}

// As rmsnorm.cu has it: Spec::kRealign.
bool takes_packed(const NormSpec& spec, const Tuning& tuning, KernelEntry entry) {
  if (entry <= KernelEntry::kAny) return entry == KernelEntry::kPacked;
  return !realigns(spec, tuning.threads_per_row);
}

int leaf_words(const NormSpec& spec, DType dtype) {
  return leaf_elements(spec) * static_cast<int>(dtype_bytes(dtype)) / 4;
}

int held_leaf_words(const NormSpec& spec) {
  if (!spec.has_residual()) return leaf_words(spec, spec.x_dtype());
  if (spec.add_round == AddRound::kUnrounded) return leaf_words(spec, DType::kF32);
  return leaf_words(spec, spec.residual_dtype_resolved());
}

int64_t rows_in_l2(const NormSpec& spec, const Target& target) {
  constexpr int64_t kL2Bytes = 50 << 20, kLeastRowBytes = 2048;
  const auto bytes = [&](DType dtype) { return spec.hidden * int64_t{dtype_bytes(dtype)}; };
  const bool measured = target.sm == 90 && !target.ptx;
  if (!measured || spec.layout == Layout::kHeads || bytes(spec.x_dtype()) < kLeastRowBytes) {
    return kAnyRows;
  }
  int64_t row = bytes(spec.x_dtype()) + bytes(spec.y_dtype());
  if (spec.has_residual()) row += 2 * bytes(spec.residual_dtype_resolved());
  return kL2Bytes / row;
}

int dynamic_shared_bytes(const NormSpec& spec, const Schedule& schedule) {
  const int bytes = shared_bytes(spec, schedule);
  return bytes > 48 * 1024 ? bytes : 0;
}

std::string tuning_text(const Tuning& tuning) {
  std::string text = schedule_text(tuning);
  const auto add = [&](const char* name, const Tuning::Extra& extra) {
    if (!extra) return;
    const std::string end = extra.end == 0 ? "" : fmt::format("..{}", extra.end);
    text += fmt::format(",{}={}{}({})", name, extra.bound, end, schedule_text(extra));
  };
  add("few", tuning.few);
  add("many", tuning.many);
  return text;
}

std::string render_spec(const NormSpec& spec, const Tuning& tuning, const Target& target) {
  bool realign = false;
  for (int i = 0; i < kKernelEntries; ++i) {
    const auto entry = static_cast<KernelEntry>(i);
    realign |=
        has_entry(tuning, entry) && realigns(spec, schedule_of(tuning, entry).threads_per_row);
  }
  std::string text = fmt::format(
      "// {} on {}: {}\n"
      "#ifndef RMSJIT_SPEC_CUH\n#define RMSJIT_SPEC_CUH\n"
      "#include \"rmsnorm.cuh\"\n{}"
      "#define RMSJIT_CLUSTER_DIMS{}\n"
      "namespace rmsjit {{\nstruct Spec {{\n",
      spec_text(spec), target.name(), tuning_text(tuning),
      realign ? "#include \"realign.cuh\"\n" : "", cluster_dims(tuning));
  const auto type = [&](const char* name, DType dtype) {
    text += fmt::format("  using {} = {};\n", name, type_name(dtype));
  };
  type("X", spec.x_dtype());
  type("W", spec.weight_dtype());
  type("R", spec.has_residual() ? spec.residual_dtype_resolved() : spec.x_dtype());
  type("Y", spec.y_dtype());
  text += fmt::format(
      "  static RMSJIT_DEVICE constexpr float inv_hidden() {{ return {:a}f; }}\n"
      "  enum : int {{\n",
      1.0f / static_cast<float>(spec.hidden));
  const auto constant = [&](const char* name, const auto& value) {
    text += fmt::format("    {} = {},\n", name, value);
  };
  const bool pdl = spec.pdl == Pdl::kOn;
  const auto numbers = [&](const Schedule& of) {
    constant("kThreads", of.threads_per_row);
    constant("kMaxRows", of.max_rows_per_block);
    constant("kCluster", of.cluster);
    constant("kRegisterSlots", of.register_slots);
    constant("kSharedSlots", of.shared_slots);
    constant("kChunk", of.load_chunk);
    constant("kLaneStride", lane_stride(spec, of));
    constant("kSharedBytes", shared_bytes(spec, of));
  };
  const auto choices = [&](const Schedule& of) {
    constant("kWeightEarly", of.weight_early);
    constant("kWeightAhead", of.weight_ahead);
    constant("kTriggerAtWait", pdl && of.trigger == Trigger::kWait);
    constant("kTriggerAtIssue", pdl && of.trigger == Trigger::kIssue);
    constant("kTriggerAtLoads", pdl && of.trigger == Trigger::kLoads);
    constant("kTriggerAtEnd", pdl && of.trigger == Trigger::kEnd);
    constant("kRealign", realigns(spec, of.threads_per_row));
  };
  constant("kHidden", spec.hidden);
  constant("kLeaf", leaf_elements(spec));
  numbers(tuning);
  text += "  };\n  enum : bool {\n";
  constant("kHeads", spec.layout == Layout::kHeads);
  constant("kHasWeight", spec.has_weight());
  constant("kOnePlus", spec.weight_form == WeightForm::kOnePlus);
  constant("kResidual", spec.has_residual());
  constant("kSumRounded", spec.add_round == AddRound::kRounded);
  constant("kOutputRounded", spec.add_round != AddRound::kUnrounded);
  constant("kRoundTwice", spec.mul_round == MulRound::kTwice);
  constant("kExactRoot", spec.root == Root::kExact);
  constant("kPdl", pdl);
  constant("kConstantWeight", spec.constant_weight == ConstantWeight::kOn);
  choices(tuning);
  constant("kInputPolicy", rows_in_l2(spec, target) < kAnyRows);
  text += "  };\n};\n";
  const auto add = [&](const char* macro, const char* name, const Tuning::Extra& extra) {
    if (!extra) return;
    text += fmt::format("#define {}{}\nstruct {} : Spec {{\n  enum : int {{\n", macro,
                        cluster_dims(extra), name);
    numbers(extra);
    text += "  };\n  enum : bool {\n";
    choices(extra);
    text += "  };\n};\n";
  };
  add("RMSJIT_FEW", "Few", tuning.few);
  add("RMSJIT_MANY", "Many", tuning.many);
  return text + "}  // namespace rmsjit\n#endif\n";
}

}  // namespace rmsjit
