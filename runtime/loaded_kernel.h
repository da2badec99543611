// SPDX-License-Identifier: Apache-2.0
// LoadedKernel: a kernel resident in one context, and its launch: argument checks, then one driver
// call. Immutable after construction; any thread may launch. What rmsjit_kernel points to.
#ifndef RMSJIT_LOADED_KERNEL_H_
#define RMSJIT_LOADED_KERNEL_H_

#include <string>

#include "rmsjit/rmsjit_c.h"
#include "runtime/driver.h"
#include "runtime/kernel_store.h"
#include "runtime/launch_args.h"
#include "runtime/module.h"

namespace rmsjit {

// A context on a device, as prepare found it.
struct DeviceContext {
  int device = 0;
  CUcontext context = nullptr;
  unsigned long long id = 0;  // tells a new context from an old one at the same address; 0: unknown
  DeviceFacts facts;
};

class LoadedKernel {
 public:
  LoadedKernel(const Driver& driver, const DeviceContext& where, const KernelId& id,
               const Acquired& acquired, const Module& module);
  LoadedKernel(const LoadedKernel&) = delete;
  LoadedKernel& operator=(const LoadedKernel&) = delete;

  // rmsjit_kernel_launch in two halves. Requires args of this version. The first is what nearly
  // every launch takes: the driver's answer, or kNotTried. What is not a success goes to the
  // second.
  static constexpr auto kNotTried = static_cast<CUresult>(1023);  // no driver's; the enum's last
  CUresult try_launch(const rmsjit_args& args, CUstream stream) const {
    return try_launch_(*this, args, stream);
  }
  [[gnu::cold]] Status launch_carefully(const rmsjit_args& args, CUstream stream,
                                        CUresult tried) const;

  Status launch(const rmsjit_args& args, CUstream stream) const {
    const CUresult result = try_launch(args, stream);
    if (result == CUDA_SUCCESS) [[likely]]
      return {};
    return launch_carefully(args, stream, result);
  }

  const DeviceContext& where() const { return where_; }
  const Module& module() const { return module_; }
  // Every field but struct_size; the strings live as long as this object.
  void describe(rmsjit_kernel_info& info) const;
  // Requires the kernel's context to be current. The kernel cannot be launched afterwards.
  void unload();

 private:
  using TryLaunch = CUresult (*)(const LoadedKernel&, const rmsjit_args&, CUstream);
  template <bool kHeads, bool kResidual>
  static CUresult try_as(const LoadedKernel& kernel, const rmsjit_args& args, CUstream stream);
  static TryLaunch choose_try(const LaunchFacts& facts);
  CUresult submit(RmsNormParams& params, const LaunchGrid& grid, KernelEntry entry,
                  CUstream stream) const;
  Status recover(CUresult result, LaunchBlock& block, CUstream stream) const;

  // What a launch reads comes first: three cache lines, one more for a schedule for many rows, and
  // one more with PDL.
  alignas(64) TryLaunch try_launch_;  // for its layout
  decltype(&::cuLaunchKernelEx) launch_kernel_;
  Module module_;
  LaunchFacts facts_;
  const Driver& driver_;
  CUlaunchAttribute overlap_{};  // of PDL
  DeviceContext where_;

  std::string spec_text_;
  std::string digest_;
  std::string target_;
  Origin origin_;
  std::string plan_;
  int32_t registers_;
  int32_t spill_bytes_;
  int32_t shared_bytes_;
};

}  // namespace rmsjit

#endif  // RMSJIT_LOADED_KERNEL_H_
