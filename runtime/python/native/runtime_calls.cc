// SPDX-License-Identifier: Apache-2.0
// The functions of rmsjit._native that are not the hot path: options, prepare, seal, statistics,
// specs as text, keys of a model. Those that may take long give the GIL up.
#include "runtime/python/native/native.h"

namespace rmsjit::python {

bool adopt_runtime(const rmsjit_options& options);

namespace {

bool succeed(rmsjit_status status, const rmsjit_error& error) {
  if (status == RMSJIT_OK) return true;
  raise(error);
  return false;
}

bool parse(const char* text, rmsjit_spec& spec) {
  rmsjit_error error;
  spec = {};
  spec.struct_size = sizeof spec;
  return succeed(rmsjit_spec_parse(text, &spec, &error), error);
}

PyObject* text_of(const rmsjit_spec& spec) {
  char text[1024];
  rmsjit_error error;
  if (!succeed(rmsjit_spec_text(&spec, text, sizeof text, nullptr, &error), error)) return nullptr;
  return PyUnicode_FromString(text);
}

// configure(cache_dir, bundle_path, nvrtc, worker, jit, compile, cache_max_bytes, max_keys,
// compile_jobs, journal, trusted_keys, require_signature): None or 0 leaves the environment's
// choice.
PyObject* configure(PyObject*, PyObject* args) {
  rmsjit_options options{};
  options.struct_size = sizeof options;
  long long cache_max_bytes = 0;
  if (!PyArg_ParseTuple(args, "zzzziiLiizzi:configure", &options.cache_dir, &options.bundle_path,
                        &options.nvrtc, &options.worker, &options.jit, &options.compile,
                        &cache_max_bytes, &options.max_keys, &options.compile_jobs,
                        &options.journal, &options.trusted_keys, &options.require_signature)) {
    return nullptr;
  }
  options.cache_max_bytes = cache_max_bytes;
  if (!adopt_runtime(options)) return nullptr;
  Py_RETURN_NONE;
}

// Memory of the raw allocator, freed at the end of its scope.
template <class T>
struct Buffer {
  explicit Buffer(Py_ssize_t count)
      : data(static_cast<T*>(PyMem_Calloc(static_cast<size_t>(count) + 1, sizeof(T)))) {
    if (data == nullptr) PyErr_NoMemory();
  }
  ~Buffer() { PyMem_Free(data); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  T* data;
};

bool parse_all(PyObject* texts, Py_ssize_t count, rmsjit_spec* specs) {
  for (Py_ssize_t i = 0; i < count; ++i) {
    PyObject* item = PySequence_GetItem(texts, i);
    const char* text = item == nullptr ? nullptr : PyUnicode_AsUTF8AndSize(item, nullptr);
    const bool parsed = text != nullptr && parse(text, specs[i]);
    Py_XDECREF(item);
    if (!parsed) return false;
  }
  return true;
}

PyObject* describe(const rmsjit_kernel* kernel) {
  rmsjit_kernel_info info{};
  info.struct_size = sizeof info;
  rmsjit_error error;
  if (!succeed(rmsjit_kernel_info_get(kernel, &info, &error), error)) return nullptr;
  return Py_BuildValue("{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:i,s:i,s:i,s:i}", "spec_text", info.spec_text,
                       "digest", info.digest, "target", info.target, "origin", info.origin, "plan",
                       info.plan, "device", info.device, "threads_per_row", info.threads_per_row,
                       "max_rows_per_block", info.max_rows_per_block, "registers", info.registers,
                       "spill_bytes", info.spill_bytes, "shared_bytes", info.shared_bytes);
}

PyObject* describe_all(const rmsjit_kernel* const* kernels, Py_ssize_t count) {
  PyObject* list = PyList_New(0);
  for (Py_ssize_t i = 0; list != nullptr && i < count; ++i) {
    PyObject* facts = describe(kernels[i]);
    if (facts == nullptr || PyList_Append(list, facts) != 0) {
      Py_DECREF(list);
      list = nullptr;
    }
    Py_XDECREF(facts);
  }
  return list;
}

// prepare(texts, device, timeout_ms) -> [facts of each kernel]
PyObject* prepare(PyObject*, PyObject* args) {
  PyObject* texts = nullptr;
  int device = 0, timeout_ms = 0;
  if (!PyArg_ParseTuple(args, "Oii:prepare", &texts, &device, &timeout_ms)) return nullptr;
  const Py_ssize_t count = PySequence_Size(texts);
  if (count < 0 || runtime() == nullptr) return nullptr;
  const Buffer<rmsjit_spec> specs(count);
  const Buffer<const rmsjit_kernel*> kernels(count);
  if (specs.data == nullptr || kernels.data == nullptr) return nullptr;
  if (!parse_all(texts, count, specs.data)) return nullptr;
  rmsjit_prepare_options options{};
  options.struct_size = sizeof options;
  options.timeout_ms = timeout_ms;
  rmsjit_error error;
  PyThreadState* thread = PyEval_SaveThread();
  const rmsjit_status status =
      rmsjit_prepare_many(runtime(), specs.data, static_cast<size_t>(count), device, &options,
                          kernels.data, nullptr, &error);
  PyEval_RestoreThread(thread);
  return succeed(status, error) ? describe_all(kernels.data, count) : nullptr;
}

// precompile(text, target): into the cache, without a device.
PyObject* precompile(PyObject*, PyObject* args) {
  const char *text = nullptr, *target = nullptr;
  rmsjit_spec spec;
  if (!PyArg_ParseTuple(args, "ss:precompile", &text, &target) || !parse(text, spec))
    return nullptr;
  if (runtime() == nullptr) return nullptr;
  rmsjit_error error;
  PyThreadState* thread = PyEval_SaveThread();
  const rmsjit_status status = rmsjit_precompile(runtime(), &spec, target, &error);
  PyEval_RestoreThread(thread);
  if (!succeed(status, error)) return nullptr;
  Py_RETURN_NONE;
}

PyObject* seal(PyObject*, PyObject*) {
  if (runtime() == nullptr) return nullptr;
  rmsjit_seal(runtime());
  Py_RETURN_NONE;
}

PyObject* stats(PyObject*, PyObject*) {
  if (runtime() == nullptr) return nullptr;
  rmsjit_stats s{};
  s.struct_size = sizeof s;
  rmsjit_error error;
  if (!succeed(rmsjit_stats_get(runtime(), &s, &error), error)) return nullptr;
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:K}", "memory_hits",
                       s.memory_hits, "bundle_hits", s.bundle_hits, "disk_hits", s.disk_hits,
                       "compiles", s.compiles, "compile_failures", s.compile_failures, "waits",
                       s.waits, "damaged", s.damaged, "refused", s.refused, "write_failures",
                       s.write_failures, "read_failures", s.read_failures, "loaded_kernels",
                       s.loaded_kernels);
}

// keys_for_model(config_text, like, tensor_parallel) -> JSON text
PyObject* keys_for_model(PyObject*, PyObject* args) {
  const char *config = nullptr, *like = nullptr;
  int tensor_parallel = 0;
  if (!PyArg_ParseTuple(args, "szi:keys_for_model", &config, &like, &tensor_parallel))
    return nullptr;
  char* json = nullptr;
  rmsjit_error error;
  if (!succeed(rmsjit_keys_for_model(config, like, tensor_parallel, &json, &error), error))
    return nullptr;
  PyObject* text = PyUnicode_FromString(json);
  rmsjit_free(json);
  return text;
}

// spec_text(text) -> the canonical text
PyObject* spec_text(PyObject*, PyObject* args) {
  const char* text = nullptr;
  rmsjit_spec spec;
  if (!PyArg_ParseTuple(args, "s:spec_text", &text) || !parse(text, spec)) return nullptr;
  return text_of(spec);
}

// profile_text(like, role, text) -> the text with what the engine profile says
PyObject* profile_text(PyObject*, PyObject* args) {
  const char *like = nullptr, *role = nullptr, *text = nullptr;
  rmsjit_spec spec;
  if (!PyArg_ParseTuple(args, "zzs", &like, &role, &text) || !parse(text, spec)) return nullptr;
  rmsjit_error error;
  if (!succeed(rmsjit_apply_profile(like, role, &spec, &error), error)) return nullptr;
  return text_of(spec);
}

PyObject* version(PyObject*, PyObject*) { return PyUnicode_FromString(rmsjit_version()); }

}  // namespace

PyMethodDef kRuntimeMethods[] = {{"register", register_hooks, METH_O, nullptr},
                                 {"configure", configure, METH_VARARGS, nullptr},
                                 {"prepare", prepare, METH_VARARGS, nullptr},
                                 {"precompile", precompile, METH_VARARGS, nullptr},
                                 {"seal", seal, METH_NOARGS, nullptr},
                                 {"stats", stats, METH_NOARGS, nullptr},
                                 {"keys_for_model", keys_for_model, METH_VARARGS, nullptr},
                                 {"spec_text", spec_text, METH_VARARGS, nullptr},
                                 {"profile_text", profile_text, METH_VARARGS, nullptr},
                                 {"version", version, METH_NOARGS, nullptr},
                                 {}};

}  // namespace rmsjit::python
