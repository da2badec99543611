// SPDX-License-Identifier: Apache-2.0
#include "runtime/loaded_kernel.h"

#include "rmsjit/spec_text.h"
#include "runtime/errors.h"

namespace rmsjit {

LoadedKernel::LoadedKernel(const Driver& driver, const DeviceContext& where, const KernelId& id,
                           const Acquired& acquired, const Module& module)
    : launch_kernel_(driver.functions().cuLaunchKernelEx),
      facts_(id.spec, id.tuning, where.facts.multiprocessors),
      module_(module),
      driver_(driver),
      where_(where),
      spec_text_(spec_text(id.spec)),
      digest_(acquired.entry.digest().hex()),
      target_(acquired.entry.target),
      origin_(acquired.origin),
      registers_(acquired.entry.metadata.registers),
      spill_bytes_(acquired.entry.metadata.spill_bytes),
      shared_bytes_(acquired.entry.metadata.shared_bytes +
                    static_cast<int32_t>(facts_.dynamic_shared_bytes)) {
  if (module.function(KernelEntry::kSecond) == nullptr) facts_.second_rows = 0;
  overlap_.id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION;
  overlap_.value.programmaticStreamSerializationAllowed = 1;
  config_.blockDimX = static_cast<unsigned>(id.tuning.threads_per_row);
  config_.gridDimZ = config_.blockDimZ = 1;
  config_.sharedMemBytes = facts_.dynamic_shared_bytes;
  config_.attrs = facts_.pdl ? &overlap_ : nullptr;
  config_.numAttrs = facts_.pdl ? 1 : 0;
}

Status LoadedKernel::launch(const rmsjit_args& args, CUstream stream) const {
  LaunchBlock block;
  RMSJIT_RETURN_IF_ERROR(make_launch_block(facts_, args, block));
  if (block.grid.x == 0) return {};
  const CUresult result = submit(block, stream);
  if (result == CUDA_SUCCESS) [[likely]]
    return {};
  return recover(result, block, stream);
}

CUresult LoadedKernel::submit(LaunchBlock& block, CUstream stream) const {
  CUlaunchConfig config = config_;
  config.gridDimX = block.grid.x;
  config.gridDimY = block.grid.y;
  config.blockDimY = block.grid.rows;
  config.hStream = stream;
  if (block.entry == KernelEntry::kSecond) [[unlikely]] {
    config.blockDimX = static_cast<unsigned>(facts_.tuning.second.threads_per_row);
    config.sharedMemBytes = 0;
  }
  void* params[] = {&block.params};
  return launch_kernel_(&config, module_.function(block.entry), params, nullptr);
}

// Off the good path: only here is the driver asked why.
Status LoadedKernel::recover(CUresult result, LaunchBlock& block, CUstream stream) const {
  const DriverFunctions& cu = driver_.functions();
  CUcontext current = nullptr;
  if (result == CUDA_ERROR_INVALID_CONTEXT && cu.cuCtxGetCurrent(&current) == CUDA_SUCCESS &&
      current == nullptr) {
    // A thread that never touched CUDA has no context; lend it the kernel's for this call.
    const CurrentContext lent(driver_, where_.context);
    if (lent.status().ok()) result = submit(block, stream);
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
}

void LoadedKernel::unload() { module_.unload(driver_); }

}  // namespace rmsjit
