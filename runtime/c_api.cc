// SPDX-License-Identifier: Apache-2.0
// The C ABI of the runtime: handles to objects, structs to values, Status to rmsjit_error. No logic
// of its own.
#include <stdlib.h>

#include <memory>
#include <utility>
#include <vector>

#include "rmsjit/rmsjit_c.h"
#include "runtime/c_error.h"
#include "runtime/c_structs.h"
#include "runtime/options.h"
#include "runtime/runtime.h"

using rmsjit::fill_error;
using rmsjit::finish;
using rmsjit::LoadedKernel;
using rmsjit::NormSpec;
using rmsjit::read_spec;
using rmsjit::Result;
using rmsjit::RuntimeCore;
using rmsjit::Status;
using rmsjit::errors::argument_null;

struct rmsjit_runtime {
  RuntimeCore core;
};

namespace {

// Handles are the objects' addresses.
const LoadedKernel* to_kernel(const rmsjit_kernel* handle) {
  return reinterpret_cast<const LoadedKernel*>(handle);
}
const rmsjit_kernel* to_handle(const LoadedKernel* kernel) {
  return reinterpret_cast<const rmsjit_kernel*>(kernel);
}

Status create(const rmsjit_options* given, rmsjit_runtime** runtime) {
  if (runtime == nullptr) return argument_null("runtime");
  *runtime = nullptr;
  const rmsjit_options none{.struct_size = sizeof(rmsjit_options)};
  rmsjit_options copy;
  const rmsjit_options* options = nullptr;
  RMSJIT_RETURN_IF_ERROR(rmsjit::adopt(given == nullptr ? &none : given, "options", copy, options));
  const auto variables = [](const char* name) -> const char* { return secure_getenv(name); };
  RMSJIT_ASSIGN_OR_RETURN(rmsjit::RuntimeOptions resolved,
                          rmsjit::resolve_options(*options, variables));
  std::unique_ptr<rmsjit::Compiler> compiler = make_compiler(resolved);
  *runtime = new rmsjit_runtime{{std::move(resolved), std::move(compiler)}};
  return {};
}

Status prepare(rmsjit_runtime* runtime, const rmsjit_spec* given, int32_t device,
               const rmsjit_kernel** kernel) {
  if (kernel != nullptr) *kernel = nullptr;
  if (runtime == nullptr) return argument_null("runtime");
  RMSJIT_ASSIGN_OR_RETURN(const NormSpec spec, read_spec(given));
  RMSJIT_ASSIGN_OR_RETURN(const LoadedKernel* prepared, runtime->core.prepare(spec, device));
  if (kernel != nullptr) *kernel = to_handle(prepared);
  return {};
}

struct ManyArgs {
  const rmsjit_spec* specs;
  size_t count;
  int32_t device;
  const rmsjit_prepare_options* options;
  const rmsjit_kernel** kernels;
  rmsjit_error* errors;
};

Result<RuntimeCore::Many> read_many(const ManyArgs& args) {
  const rmsjit_prepare_options none{.struct_size = sizeof(rmsjit_prepare_options)};
  rmsjit_prepare_options copy;
  const rmsjit_prepare_options* options = nullptr;
  RMSJIT_RETURN_IF_ERROR(
      rmsjit::adopt(args.options == nullptr ? &none : args.options, "options", copy, options));
  for (const auto& [name, value] :
       {std::pair{"jobs", options->jobs}, {"timeout_ms", options->timeout_ms}}) {
    if (value < 0) return rmsjit::errors::option_out_of_range(name, value, 0, INT32_MAX);
  }
  RuntimeCore::Many many{args.device, options->jobs, options->timeout_ms, {}};
  if (options->progress != nullptr) {
    many.progress = [call = options->progress, user = options->progress_user](
                        size_t done, size_t total) { call(user, done, total); };
  }
  return many;
}

Status prepare_many(rmsjit_runtime* runtime, const ManyArgs& args) {
  for (size_t i = 0; args.kernels != nullptr && i < args.count; ++i) args.kernels[i] = nullptr;
  if (runtime == nullptr) return argument_null("runtime");
  if (args.specs == nullptr && args.count != 0) return argument_null("specs");
  RMSJIT_ASSIGN_OR_RETURN(const RuntimeCore::Many many, read_many(args));
  std::vector<NormSpec> specs;
  // Specs of another version lie at their own distance from each other.
  const char* at = reinterpret_cast<const char*>(args.specs);
  for (size_t i = 0; i < args.count; ++i) {
    const auto* spec = reinterpret_cast<const rmsjit_spec*>(at);
    RMSJIT_ASSIGN_OR_RETURN(const NormSpec read, read_spec(spec));
    specs.push_back(read);
    at += spec->struct_size;
  }
  RMSJIT_ASSIGN_OR_RETURN(const std::vector<RuntimeCore::Item> items,
                          runtime->core.prepare_many(specs, many));
  Status first;
  for (size_t i = 0; i < items.size(); ++i) {
    if (args.kernels != nullptr) args.kernels[i] = to_handle(items[i].kernel);
    if (args.errors != nullptr) {
      if (items[i].status.ok())
        args.errors[i] = {RMSJIT_OK, ""};
      else
        fill_error(items[i].status, args.errors[i]);
    }
    if (first.ok()) first = items[i].status;
  }
  return first;
}

Status precompile(rmsjit_runtime* runtime, const rmsjit_spec* given, const char* target) {
  if (runtime == nullptr) return argument_null("runtime");
  if (target == nullptr) return argument_null("target");
  RMSJIT_ASSIGN_OR_RETURN(const NormSpec spec, read_spec(given));
  RMSJIT_ASSIGN_OR_RETURN(const rmsjit::Target parsed, rmsjit::parse_target(target));
  return runtime->core.precompile(spec, parsed);
}

// What a launch comes to that was not a success at once: `tried` says why.
[[gnu::cold, gnu::noinline]] Status launch_carefully(const rmsjit_kernel* kernel,
                                                     const rmsjit_args* given, void* stream,
                                                     CUresult tried) {
  if (kernel == nullptr) return argument_null("kernel");
  rmsjit_args copy;
  const rmsjit_args* args = nullptr;
  RMSJIT_RETURN_IF_ERROR(rmsjit::adopt(given, "args", copy, args));
  return to_kernel(kernel)->launch_carefully(*args, static_cast<CUstream>(stream), tried);
}

[[gnu::cold, gnu::noinline]] Status look_up_and_launch(rmsjit_runtime* runtime,
                                                       const rmsjit_spec* given_spec,
                                                       int32_t device,
                                                       const rmsjit_args* given_args, void* stream,
                                                       const LoadedKernel* kernel, CUresult tried) {
  if (runtime == nullptr) return argument_null("runtime");
  rmsjit_spec spec_copy;
  rmsjit_args args_copy;
  const rmsjit_spec* spec = nullptr;
  const rmsjit_args* args = nullptr;
  RMSJIT_RETURN_IF_ERROR(rmsjit::adopt(given_spec, "spec", spec_copy, spec));
  RMSJIT_RETURN_IF_ERROR(rmsjit::adopt(given_args, "args", args_copy, args));
  return runtime->core.launch_carefully(*spec, device, *args, stream, kernel, tried);
}

}  // namespace

rmsjit_status rmsjit_runtime_create(const rmsjit_options* options, rmsjit_runtime** runtime,
                                    rmsjit_error* error) {
  return finish(create(options, runtime), error);
}

void rmsjit_runtime_close(rmsjit_runtime* runtime) { delete runtime; }

rmsjit_status rmsjit_forget_device(rmsjit_runtime* runtime, int32_t device, rmsjit_error* error) {
  if (runtime == nullptr) return finish(argument_null("runtime"), error);
  runtime->core.forget_device(device);
  return RMSJIT_OK;
}

void rmsjit_seal(rmsjit_runtime* runtime) {
  if (runtime != nullptr) runtime->core.seal();
}

rmsjit_status rmsjit_stats_get(const rmsjit_runtime* runtime, rmsjit_stats* stats,
                               rmsjit_error* error) {
  if (runtime == nullptr) return finish(argument_null("runtime"), error);
  rmsjit_stats filled{};
  runtime->core.stats(filled);
  return finish(rmsjit::give_back(filled, "stats", stats), error);
}

rmsjit_status rmsjit_prepare(rmsjit_runtime* runtime, const rmsjit_spec* spec, int32_t device,
                             const rmsjit_kernel** kernel, rmsjit_error* error) {
  return finish(prepare(runtime, spec, device, kernel), error);
}

const rmsjit_kernel* rmsjit_find(const rmsjit_runtime* runtime, const rmsjit_spec* given,
                                 int32_t device) {
  rmsjit_spec copy;
  const rmsjit_spec* spec = nullptr;
  if (runtime == nullptr || !rmsjit::adopt(given, "spec", copy, spec).ok()) return nullptr;
  return to_handle(runtime->core.find(*spec, device));
}

rmsjit_status rmsjit_prepare_many(rmsjit_runtime* runtime, const rmsjit_spec* specs, size_t count,
                                  int32_t device, const rmsjit_prepare_options* options,
                                  const rmsjit_kernel** kernels, rmsjit_error* errors,
                                  rmsjit_error* error) {
  return finish(prepare_many(runtime, {specs, count, device, options, kernels, errors}), error);
}

rmsjit_status rmsjit_precompile(rmsjit_runtime* runtime, const rmsjit_spec* spec,
                                const char* target, rmsjit_error* error) {
  return finish(precompile(runtime, spec, target), error);
}

rmsjit_status rmsjit_kernel_info_get(const rmsjit_kernel* kernel, rmsjit_kernel_info* info,
                                     rmsjit_error* error) {
  if (kernel == nullptr) return finish(argument_null("kernel"), error);
  rmsjit_kernel_info filled{};
  to_kernel(kernel)->describe(filled);
  return finish(rmsjit::give_back(filled, "info", info), error);
}

rmsjit_status rmsjit_kernel_launch(const rmsjit_kernel* kernel, const rmsjit_args* args,
                                   void* stream, rmsjit_error* error) {
  CUresult result = LoadedKernel::kNotTried;
  if (kernel != nullptr && rmsjit::is_of_this_version(args)) [[likely]]
    result = to_kernel(kernel)->try_launch(*args, static_cast<CUstream>(stream));
  if (result == CUDA_SUCCESS) [[likely]]
    return RMSJIT_OK;
  return finish(launch_carefully(kernel, args, stream, result), error);
}

rmsjit_status rmsjit_launch(rmsjit_runtime* runtime, const rmsjit_spec* spec, int32_t device,
                            const rmsjit_args* args, void* stream, rmsjit_error* error) {
  CUresult result = LoadedKernel::kNotTried;
  const LoadedKernel* kernel = nullptr;
  if (runtime != nullptr && rmsjit::is_of_this_version(spec) && rmsjit::is_of_this_version(args))
      [[likely]] {
    kernel = runtime->core.find(*spec, device);
    if (kernel != nullptr) [[likely]]
      result = kernel->try_launch(*args, static_cast<CUstream>(stream));
  }
  if (result == CUDA_SUCCESS) [[likely]]
    return RMSJIT_OK;
  return finish(look_up_and_launch(runtime, spec, device, args, stream, kernel, result), error);
}
