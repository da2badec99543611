// SPDX-License-Identifier: Apache-2.0
// generate_units DIR UNITS SHARE: writes unit_0.cc .. and units.cc into DIR, which compile kernels
// of kernel_set() from their real rendered specs: `short`, its short form, `rest`, the others, or a
// number, each so-manyth. Files that would not change are left alone, so that an unchanged kernel
// is not compiled again.
#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "rmsjit/spec_text.h"
#include "tests/emulate/kernel_set.h"

namespace {

using rmsjit::emulate::KernelPlan;

bool write_if_changed(const std::string& path, const std::string& text) {
  std::ifstream old(path);
  std::stringstream old_text;
  old_text << old.rdbuf();
  if (old && old_text.str() == text) return true;
  std::ofstream out(path);
  out << text;
  return static_cast<bool>(out.flush());
}

// The rendered text defines rmsjit::Spec; inside a namespace of its own it is one of many. Names of
// the template are found through the using-directive.
std::string kernel_text(int index, const KernelPlan& plan) {
  return fmt::format(
      "namespace s{0} {{\nnamespace rmsjit {{\nusing namespace ::rmsjit;\n}}\n"
      "#undef RMSJIT_SPEC_CUH\n#undef RMSJIT_CLUSTER_DIMS\n#undef RMSJIT_FEW\n#undef RMSJIT_MANY\n"
      "{1}}}  // namespace s{0}\n\n",
      index, render_spec(plan.spec, plan.tuning, rmsjit::emulate::kTarget));
}

// The indices in `plans` that the share holds.
std::vector<int> chosen(const std::vector<KernelPlan>& plans, std::string_view share) {
  const int every = std::atoi(share.data());
  std::vector<int> indices;
  for (int i = 0; i < static_cast<int>(plans.size()); ++i) {
    const bool in_short = plans[static_cast<size_t>(i)].in_short;
    if (every > 0 ? i % every == 0 : in_short == (share == "short")) indices.push_back(i);
  }
  return indices;
}

std::string unit_text(const std::vector<KernelPlan>& plans, const std::vector<int>& indices,
                      int unit, int units) {
  std::string text = "// Written by generate_units.\n#include \"tests/emulate/instantiate.h\"\n\n";
  std::string table;
  for (size_t i = static_cast<size_t>(unit); i < indices.size(); i += static_cast<size_t>(units)) {
    const int index = indices[i];
    const KernelPlan& plan = plans[static_cast<size_t>(index)];
    text += kernel_text(index, plan);
    const auto type = [&](const char* name, bool there) {
      return there ? fmt::format("s{}::rmsjit::{}", index, name) : "void";
    };
    table +=
        fmt::format("    make_kernel<{}, {}, {}>({}, \"{}\"),\n", type("Spec", true),
                    type("Few", static_cast<bool>(plan.tuning.few)),
                    type("Many", static_cast<bool>(plan.tuning.many)), index, spec_text(plan.spec));
  }
  text += fmt::format(
      "namespace rmsjit::emulate {{\nstatic constexpr Kernel kKernels[] = {{\n{1}}};\n"
      "extern const KernelList kUnit{0};\n"
      "const KernelList kUnit{0} = {{kKernels, sizeof kKernels / sizeof kKernels[0]}};\n"
      "}}  // namespace rmsjit::emulate\n",
      unit, table);
  return text;
}

std::string list_text(int units) {
  std::string declarations;
  std::string entries;
  for (int unit = 0; unit < units; ++unit) {
    declarations += fmt::format("extern const KernelList kUnit{};\n", unit);
    entries += fmt::format("    &kUnit{},\n", unit);
  }
  return fmt::format(
      "// Written by generate_units.\n#include \"tests/emulate/kernel.h\"\n\n"
      "namespace rmsjit::emulate {{\n{}const KernelList* const kUnits[] = {{\n{}    nullptr}};\n"
      "}}  // namespace rmsjit::emulate\n",
      declarations, entries);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: generate_units DIR UNITS short|rest|EVERY\n";
    return 2;
  }
  const std::string dir = argv[1];
  const int units = std::atoi(argv[2]);
  const std::vector<KernelPlan> plans = rmsjit::emulate::kernel_set();
  const std::vector<int> indices = chosen(plans, argv[3]);
  bool ok = write_if_changed(dir + "/units.cc", list_text(units));
  for (int unit = 0; unit < units; ++unit) {
    const std::string path = fmt::format("{}/unit_{}.cc", dir, unit);
    ok = ok && write_if_changed(path, unit_text(plans, indices, unit, units));
  }
  if (!ok) std::cerr << "generate_units: cannot write into " << dir << "\n";
  return ok ? 0 : 3;
}
