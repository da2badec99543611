// SPDX-License-Identifier: Apache-2.0
#include "runtime/loaded_kernel.h"

#include <algorithm>

#include "rmsjit/spec_text.h"
#include "runtime/errors.h"
#include "runtime/usual_launch.h"

namespace rmsjit {

LoadedKernel::LoadedKernel(const Driver& driver, const DeviceContext& where, const KernelId& id,
                           const Acquired& acquired, const Module& module)
    : launch_kernel_(driver.functions().cuLaunchKernelEx),
      module_(module),
      facts_(id.spec, id.tuning, id.target, where.facts.multiprocessors),
      driver_(driver),
      where_(where),
      spec_text_(spec_text(id.spec)),
      digest_(acquired.entry.digest().hex()),
      target_(acquired.entry.target),
      origin_(acquired.origin),
      plan_(tuning_text(id.tuning)),
      registers_(acquired.entry.metadata.registers),
      spill_bytes_(acquired.entry.metadata.spill_bytes),
      // An entry's is static, which the image says, or dynamic.
      shared_bytes_(acquired.entry.metadata.shared_bytes) {
  for (const uint32_t bytes : facts_.dynamic_shared_bytes) {
    shared_bytes_ = std::max(shared_bytes_, static_cast<int32_t>(bytes));
  }
  if (module.function(KernelEntry::kFew) == nullptr) facts_.few_rows = {};
  if (module.function(KernelEntry::kMany) == nullptr) facts_.many_rows = {};
  try_launch_ = choose_try(facts_);
  overlap_.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  overlap_.value.programmaticStreamSerializationAllowed = 1;
}

inline CUresult LoadedKernel::submit(RmsNormParams& params, const LaunchGrid& grid,
                                     KernelEntry entry, CUstream stream) const {
  CUlaunchConfig config;
  config.gridDimX = grid.x;
  config.gridDimY = grid.y;
  config.gridDimZ = 1;
  config.blockDimX = static_cast<unsigned>(schedule_of(facts_.tuning, entry).threads_per_row);
  config.blockDimY = grid.rows;
  config.blockDimZ = 1;
  config.sharedMemBytes = facts_.dynamic_shared_bytes[static_cast<int>(entry)];
  config.hStream = stream;
  config.attrs = const_cast<CUlaunchAttribute*>(&overlap_);
  config.numAttrs = facts_.pdl ? 1 : 0;
  void* list[] = {&params};
  return launch_kernel_(&config, module_.function(entry), list, nullptr);
}

template <bool kHeads, bool kResidual>
CUresult LoadedKernel::try_as(const LoadedKernel& kernel, const rmsjit_args& args,
                              CUstream stream) {
  RmsNormParams params;
  LaunchGrid grid;
  KernelEntry entry;
  if (!make_usual<kHeads, kResidual>(kernel.facts_, args, params, grid, entry)) [[unlikely]]
    return kNotTried;
  return kernel.submit(params, grid, entry, stream);
}

LoadedKernel::TryLaunch LoadedKernel::choose_try(const LaunchFacts& facts) {
  if (facts.has_heads) return facts.residual_bytes == 0 ? try_as<true, false> : try_as<true, true>;
  return facts.residual_bytes == 0 ? try_as<false, false> : try_as<false, true>;
}

Status LoadedKernel::launch_carefully(const rmsjit_args& args, CUstream stream,
                                      CUresult tried) const {
  LaunchBlock block;
  RMSJIT_RETURN_IF_ERROR(make_launch_block(facts_, args, block));
  if (block.grid.x == 0) return {};
  const CUresult result =
      tried == kNotTried ? submit(block.params, block.grid, block.entry, stream) : tried;
  if (result == CUDA_SUCCESS) return {};
  return recover(result, block, stream);
}

// Off the good path: only here is the driver asked why.
Status LoadedKernel::recover(CUresult result, LaunchBlock& block, CUstream stream) const {
  const DriverFunctions& cu = driver_.functions();
  CUcontext current = nullptr;
  if (result == CUDA_ERROR_INVALID_CONTEXT && cu.cuCtxGetCurrent(&current) == CUDA_SUCCESS &&
      current == nullptr) {
    // A thread that never touched CUDA has no context; lend it the kernel's for this call.
    const CurrentContext lent(driver_, where_.context);
    if (lent.status().ok()) result = submit(block.params, block.grid, block.entry, stream);
    if (result == CUDA_SUCCESS) return {};
  }
  CUcontext streams = nullptr;
  if (cu.cuStreamGetCtx(stream, &streams) == CUDA_SUCCESS && streams != where_.context) {
    const CurrentContext looked_at(driver_, streams);
    CUdevice device = 0;
    if (looked_at.status().ok() && cu.cuCtxGetDevice(&device) == CUDA_SUCCESS &&
        device != where_.device) {
      return errors::wrong_device(where_.device, device);
    }
    return errors::wrong_context(where_.device);
  }
  const Status why = driver_.check(result, "cuLaunchKernelEx");
  return errors::launch_failed(spec_text_, why.message());
}

void LoadedKernel::describe(rmsjit_kernel_info& info) const {
  info.spec_text = spec_text_.c_str();
  info.digest = digest_.c_str();
  info.target = target_.c_str();
  info.origin = origin_name(origin_);
  info.device = where_.device;
  info.threads_per_row = facts_.tuning.threads_per_row * facts_.tuning.cluster;
  info.max_rows_per_block = facts_.tuning.max_rows_per_block;
  info.registers = registers_;
  info.spill_bytes = spill_bytes_;
  info.shared_bytes = shared_bytes_;
  info.plan = plan_.c_str();
}

void LoadedKernel::unload() { module_.unload(driver_); }

}  // namespace rmsjit
