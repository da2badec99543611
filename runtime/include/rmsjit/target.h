// SPDX-License-Identifier: Apache-2.0
// Target: what an image is compiled for. Plain sm_XX only: the a and f variants gave identical code
// for these kernels and would cost portability.
#ifndef RMSJIT_TARGET_H_
#define RMSJIT_TARGET_H_

#include <string>
#include <string_view>

#include "rmsjit/status.h"

namespace rmsjit {

struct Target {
  int sm = 0;        // 80 for compute capability 8.0
  bool ptx = false;  // compute_XX: PTX that a newer driver compiles at load

  std::string name() const { return (ptx ? "compute_" : "sm_") + std::to_string(sm); }
  bool has_pdl() const { return sm >= 90; }
  friend bool operator==(const Target&, const Target&) = default;
};

inline constexpr int kKnownSm[] = {80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

inline std::string allowed_targets() {
  std::string text;
  for (int sm : kKnownSm) text += (text.empty() ? "sm_" : ", sm_") + std::to_string(sm);
  return text + " (or compute_XX for PTX)";
}

// "sm_90" or "compute_90". Errors: kUnsupported for a GPU older than sm_80, kInvalidArgument for
// any other name that is not in allowed_targets().
inline Result<Target> parse_target(std::string_view text) {
  Target target;
  std::string_view digits = text;
  if (digits.substr(0, 3) == "sm_") {
    digits.remove_prefix(3);
  } else if (digits.substr(0, 8) == "compute_") {
    digits.remove_prefix(8);
    target.ptx = true;
  } else {
    digits = {};
  }
  bool numeric = !digits.empty() && digits.size() <= 3 && digits[0] != '0';
  for (char c : digits) numeric = numeric && c >= '0' && c <= '9';
  if (numeric) {
    for (char c : digits) target.sm = target.sm * 10 + (c - '0');
    for (int sm : kKnownSm) {
      if (sm == target.sm) return target;
    }
    if (target.sm < 80) {
      return Status(StatusCode::kUnsupported,
                    "target=" + std::string(text) +
                        " is too old (bf16 conversion needs sm_80): use " + allowed_targets());
    }
  }
  return Status(StatusCode::kInvalidArgument, "target=\"" + std::string(text.substr(0, 40)) +
                                                  "\" is not known: use " + allowed_targets());
}

}  // namespace rmsjit

#endif  // RMSJIT_TARGET_H_
