// SPDX-License-Identifier: Apache-2.0
// A profiler's injection library for tests: keeps the names of the ranges that were pushed, each
// with the depth at which it stood.
#include <nvtx3/nvToolsExt.h>

#include <string>

namespace {

std::string ranges;
int depth = 0;

int range_push(const char* name) {
  ranges += std::to_string(depth) + " " + name + "\n";
  return depth++;
}

int range_pop() { return --depth; }

}  // namespace

extern "C" const char* rmsjit_stub_nvtx_ranges() { return ranges.c_str(); }
extern "C" int rmsjit_stub_nvtx_depth() { return depth; }

extern "C" int InitializeInjectionNvtx2(NvtxGetExportTableFunc_t get_export_table) {
  const auto* callbacks =
      static_cast<const NvtxExportTableCallbacks*>(get_export_table(NVTX_ETID_CALLBACKS));
  NvtxFunctionTable table = nullptr;
  unsigned int size = 0;
  if (callbacks == nullptr ||
      !callbacks->GetModuleFunctionTable(NVTX_CB_MODULE_CORE, &table, &size)) {
    return 0;
  }
  *table[NVTX_CBID_CORE_RangePushA] = reinterpret_cast<NvtxFunctionPointer>(range_push);
  *table[NVTX_CBID_CORE_RangePop] = reinterpret_cast<NvtxFunctionPointer>(range_pop);
  return 1;
}
