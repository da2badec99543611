/* SPDX-License-Identifier: Apache-2.0 */
/* rmsjit: RMSNorm kernels compiled, cached and launched for exactly what the caller describes.
 *
 * Conventions
 *  1. Each call returns a rmsjit_status; RMSJIT_OK is 0. `error` may be NULL; otherwise it is
 *     filled on failure and left alone on success.
 *  2. Structs that the caller fills begin with struct_size = sizeof(struct); zero is each other
 *     field's default. A smaller struct reads defaults for its tail; a larger one is accepted only
 *     if its tail is zero (RMSJIT_INVALID_ARGUMENT otherwise). Structs that the library fills are
 *     filled as far as they reach; the tail of a larger one is zeroed.
 *  3. Streams (CUstream) and contexts (CUcontext) are void*; device is a CUDA ordinal. No CUDA
 *     header is needed.
 *  4. Strings are UTF-8 and owned by the caller; they are copied before a call returns.
 *  5. The library never allocates device memory, never copies tensors, never synchronises, never
 *     prints and never exits. Every function is safe to call from any thread unless it says so.
 *  6. When every runtime is closed the library may be unloaded; after a compile in this process
 *     (RMSJIT_COMPILE_INPROCESS) it stays, because NVRTC calls into it. */
#ifndef RMSJIT_C_H_
#define RMSJIT_C_H_

#include <stddef.h>
#include <stdint.h>

#include "rmsjit/export.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Pinned numbers, the same as rmsjit::StatusCode (status.h says what each one means). */
typedef enum rmsjit_status {
  RMSJIT_OK = 0,
  RMSJIT_INVALID_ARGUMENT = 1,
  RMSJIT_UNSUPPORTED = 2,
  RMSJIT_NOT_PREPARED = 3,
  RMSJIT_JIT_DISABLED = 4,
  RMSJIT_COMPILE_FAILED = 5,
  RMSJIT_COMPILER_UNAVAILABLE = 6,
  RMSJIT_WORKER_FAILED = 7,
  RMSJIT_DRIVER = 8,
  RMSJIT_DRIVER_UNAVAILABLE = 9,
  RMSJIT_WRONG_DEVICE = 10,
  RMSJIT_WRONG_CONTEXT = 11,
  RMSJIT_DAMAGED = 12,
  RMSJIT_UNTRUSTED = 13,
  RMSJIT_NOT_FOUND = 14,
  RMSJIT_IO = 15,
  RMSJIT_TIMEOUT = 16,
  RMSJIT_TOO_MANY_KEYS = 17,
  RMSJIT_CLOSED = 18,
  RMSJIT_INTERNAL = 19
} rmsjit_status;

typedef struct rmsjit_error {
  rmsjit_status code;
  char message[4096]; /* NUL-terminated; a longer text is cut and says how long it was */
} rmsjit_error;

typedef struct rmsjit_runtime rmsjit_runtime;
typedef struct rmsjit_kernel rmsjit_kernel;

/* --- the spec: numbers as in spec.h, 0 is the default -------------------------------------- */
enum { RMSJIT_ROWS = 0, RMSJIT_HEADS = 1 };
enum {
  RMSJIT_DTYPE_DEFAULT = 0, /* bf16 for x, the same as x for the others */
  RMSJIT_BF16 = 1,
  RMSJIT_F16 = 2,
  RMSJIT_F32 = 3,
  RMSJIT_NO_WEIGHT = 4
};
enum { RMSJIT_RESIDUAL_NONE = 0, RMSJIT_RESIDUAL_ADD = 1 };
enum { RMSJIT_WEIGHT_PLAIN = 0, RMSJIT_WEIGHT_ONE_PLUS = 1 };
enum { RMSJIT_Y_OUT_OF_PLACE = 0, RMSJIT_Y_IN_PLACE = 1 };
enum { RMSJIT_RESIDUAL_IN_PLACE = 0, RMSJIT_RESIDUAL_OUT_OF_PLACE = 1 };
enum { RMSJIT_ADD_ROUNDED = 0, RMSJIT_ADD_UNROUNDED = 1, RMSJIT_ADD_STATS_UNROUNDED = 2 };
enum { RMSJIT_MUL_ROUND_ONCE = 0, RMSJIT_MUL_ROUND_TWICE = 1 };
enum { RMSJIT_ROOT_FAST = 0, RMSJIT_ROOT_EXACT = 1 };
enum { RMSJIT_PDL_OFF = 0, RMSJIT_PDL_ON = 1, RMSJIT_PDL_AUTO = 2 };

typedef struct rmsjit_spec {
  size_t struct_size;
  int64_t hidden; /* 1 .. 262144 */
  int32_t layout;
  int32_t x;
  int32_t weight;
  int32_t y;
  int32_t residual;
  int32_t residual_dtype;
  int32_t weight_form;
  int32_t y_placement;
  int32_t residual_placement;
  int32_t add_round;
  int32_t mul_round;
  int32_t root;
  int32_t pdl;
  int32_t constant_weight;
} rmsjit_spec;

/* Reads "hidden=4096,x=bf16,residual=add"; spec->struct_size must be set. */
RMSJIT_API rmsjit_status rmsjit_spec_parse(const char* text, rmsjit_spec* spec,
                                           rmsjit_error* error);
/* Writes the canonical text, NUL-terminated. *length (may be NULL) is the length without the NUL;
 * RMSJIT_INVALID_ARGUMENT if capacity is too small, nothing is written then but *length. */
RMSJIT_API rmsjit_status rmsjit_spec_text(const rmsjit_spec* spec, char* text, size_t capacity,
                                          size_t* length, rmsjit_error* error);

/* --- the runtime --------------------------------------------------------------------------- */
enum { RMSJIT_JIT_DEFAULT = 0, RMSJIT_JIT_ON = 1, RMSJIT_JIT_WARN = 2, RMSJIT_JIT_OFF = 3 };
enum { RMSJIT_COMPILE_DEFAULT = 0, RMSJIT_COMPILE_WORKER = 1, RMSJIT_COMPILE_INPROCESS = 2 };
enum { RMSJIT_SIGNATURE_DEFAULT = 0, RMSJIT_SIGNATURE_ON = 1, RMSJIT_SIGNATURE_OFF = 2 };
enum { RMSJIT_LOG_DEBUG = 0, RMSJIT_LOG_INFO = 1, RMSJIT_LOG_WARNING = 2 };

/* Called from whichever thread does the work; must not call back into the library. */
typedef void (*rmsjit_log_callback)(void* user, int32_t level, const char* message);
/* One compile: its spec text, target, why it was a miss, and how long it took. */
typedef void (*rmsjit_compile_callback)(void* user, const char* spec_text, const char* target,
                                        const char* reason, double compile_ms);

/* Begin and end of something slow: what is "compile", "read" (bundles and disk), "wait" (for
 * another thread's or process's compile) or "load" (into a context). Ranges of one thread are
 * nested. */
enum { RMSJIT_TRACE_BEGIN = 0, RMSJIT_TRACE_END = 1 };
typedef void (*rmsjit_trace_callback)(void* user, int32_t phase, const char* what,
                                      const char* spec_text);

/* Persistence of the host's own: asked after bundles and cache_dir, given every compiled entry.
 * Keys are 64 hex digits; values are checked entry by entry, so a store that loses or damages them
 * costs a compile and nothing else. Called from whichever thread does the work. */
typedef void (*rmsjit_storage_sink)(void* sink, const void* bytes, size_t size);
typedef struct rmsjit_storage {
  size_t struct_size;
  void* user;
  /* Calls give(sink, bytes, size) at most once, before it returns, if the key is held. */
  void (*get)(void* user, const char* key, rmsjit_storage_sink give, void* sink);
  /* 0: kept; anything else: not kept (logged once and counted as a write failure). */
  int32_t (*put)(void* user, const char* key, const void* bytes, size_t size);
} rmsjit_storage;

/* Zero or NULL: the RMSJIT_* environment variable, then the documented default. */
typedef struct rmsjit_options {
  size_t struct_size;
  const char* cache_dir;   /* RMSJIT_CACHE_DIR; "" keeps nothing on disk */
  const char* bundle_path; /* RMSJIT_BUNDLE_PATH: directories separated by ':', searched in order */
  const char* nvrtc;       /* RMSJIT_NVRTC: path of libnvrtc */
  const char* worker;      /* RMSJIT_WORKER: path of the compile worker */
  int32_t jit;             /* RMSJIT_JIT: on | warn | off; off forbids compiling only */
  int32_t compile;         /* RMSJIT_COMPILE: worker | inprocess */
  int64_t cache_max_bytes; /* RMSJIT_CACHE_MAX_BYTES; default 256 MiB */
  int32_t max_keys;        /* distinct keys a process; default 4096 */
  int32_t compile_jobs;    /* compiles at the same time; default min(8, cores) */
  int32_t lock_wait_ms;    /* how long to wait for another process's compile; default 20000 */
  int32_t compile_timeout_ms; /* deadline of one compile in a worker; default 120000 */
  rmsjit_log_callback log;    /* silent when NULL, unless RMSJIT_LOG names a level (to stderr) */
  void* log_user;
  rmsjit_compile_callback on_compile;
  void* on_compile_user;
  rmsjit_trace_callback trace; /* when NULL, NVTX ranges if a profiler is attached */
  void* trace_user;
  const rmsjit_storage* storage; /* copied; its user outlives the runtime */
  const char* journal; /* RMSJIT_JOURNAL: a file that receives the spec text of each missed key */
  /* RMSJIT_TRUSTED_KEYS: public keys of 64 hex digits, separated by ','; a bundle that one of them
   * has signed is held to its manifest. */
  const char* trusted_keys;
  /* RMSJIT_REQUIRE_SIGNATURE: on | off. on: only what a trusted key has signed is loaded; any other
   * bundle or entry is RMSJIT_UNTRUSTED. Nothing is compiled; cache_dir, storage are not used. */
  int32_t require_signature;
  int32_t reserved; /* 0 */
} rmsjit_options;

typedef struct rmsjit_stats {
  size_t struct_size;
  uint64_t memory_hits; /* prepare found the kernel loaded */
  uint64_t bundle_hits;
  uint64_t disk_hits; /* the host's storage included */
  uint64_t compiles;
  uint64_t compile_failures;
  uint64_t waits; /* waited for another thread or process that compiled the key */
  uint64_t damaged;
  uint64_t refused; /* intact images that the driver did not load */
  uint64_t write_failures;
  uint64_t read_failures;
  uint64_t loaded_kernels;
} rmsjit_stats;

/* options may be NULL. Touches neither disk nor driver; those open when first needed.
 * Errors: INVALID_ARGUMENT (an option or variable with a value that is not allowed). */
RMSJIT_API rmsjit_status rmsjit_runtime_create(const rmsjit_options* options,
                                               rmsjit_runtime** runtime, rmsjit_error* error);
/* Unloads every kernel and frees the runtime. The caller has destroyed the graphs that use them,
 * and no other thread is inside a call. A context of the caller's own, in which kernels were
 * prepared, is destroyed afterwards: a driver does not reliably tell that it is gone. NULL is
 * allowed. */
RMSJIT_API void rmsjit_runtime_close(rmsjit_runtime* runtime);
/* After a context reset of `device`: forgets its kernels without touching the driver. Handles to
 * them must not be used again. */
RMSJIT_API rmsjit_status rmsjit_forget_device(rmsjit_runtime* runtime, int32_t device,
                                              rmsjit_error* error);
/* From now on rmsjit_launch of an unprepared key is RMSJIT_NOT_PREPARED. prepare still works. */
RMSJIT_API void rmsjit_seal(rmsjit_runtime* runtime);
RMSJIT_API rmsjit_status rmsjit_stats_get(const rmsjit_runtime* runtime, rmsjit_stats* stats,
                                          rmsjit_error* error);

/* Everything slow: memory, bundles, disk, compile; then load, so that the kernel is resident and
 * its first launch may be inside a capture. Idempotent; one compile for one key in a process. The
 * kernel belongs to the caller's current context if that is on `device`, else to the device's
 * primary one; it lives until rmsjit_runtime_close. May be called while another thread captures. */
RMSJIT_API rmsjit_status rmsjit_prepare(rmsjit_runtime* runtime, const rmsjit_spec* spec,
                                        int32_t device, const rmsjit_kernel** kernel,
                                        rmsjit_error* error);
/* The kernel that rmsjit_launch would use, or NULL where the key is not prepared in the way the
 * spec is written. A lock-free look-up that never prepares: bindings ask it whether a launch may
 * block. */
RMSJIT_API const rmsjit_kernel* rmsjit_find(const rmsjit_runtime* runtime, const rmsjit_spec* spec,
                                            int32_t device);

/* Called after each finished item, from one thread at a time. */
typedef void (*rmsjit_progress_callback)(void* user, size_t done, size_t total);
typedef struct rmsjit_prepare_options {
  size_t struct_size;
  int32_t jobs;       /* default: compile_jobs of the runtime */
  int32_t timeout_ms; /* 0: none; items not begun by then are RMSJIT_TIMEOUT */
  rmsjit_progress_callback progress;
  void* progress_user;
} rmsjit_prepare_options;
/* specs is an array of `count` structs, each with its struct_size. kernels and errors (each may be
 * NULL) have `count` elements; a failed item's kernel is NULL. Returns the first item's failure. */
RMSJIT_API rmsjit_status rmsjit_prepare_many(rmsjit_runtime* runtime, const rmsjit_spec* specs,
                                             size_t count, int32_t device,
                                             const rmsjit_prepare_options* options,
                                             const rmsjit_kernel** kernels, rmsjit_error* errors,
                                             rmsjit_error* error);

/* Compiles into the cache for a target ("sm_90") with no device, driver or stream: what a build
 * step calls. A hit compiles nothing. */
RMSJIT_API rmsjit_status rmsjit_precompile(rmsjit_runtime* runtime, const rmsjit_spec* spec,
                                           const char* target, rmsjit_error* error);

/* Facts of a prepared kernel. Strings live as long as the kernel. threads_per_row and
 * max_rows_per_block are of the first schedule, registers, spill_bytes and shared_bytes the most of
 * any entry, also of one that the device has no room for. */
typedef struct rmsjit_kernel_info {
  size_t struct_size;
  const char* spec_text;
  const char* digest; /* 64 hex digits */
  const char* target;
  const char* origin; /* "compiled", "cache" or "bundle" */
  int32_t device;
  int32_t threads_per_row;
  int32_t max_rows_per_block;
  int32_t registers;
  int32_t spill_bytes;
  int32_t shared_bytes;
  const char* plan; /* every schedule, as `rmsnorm-aot explain` prints them */
} rmsjit_kernel_info;
RMSJIT_API rmsjit_status rmsjit_kernel_info_get(const rmsjit_kernel* kernel,
                                                rmsjit_kernel_info* info, rmsjit_error* error);

/* --- launch -------------------------------------------------------------------------------- */
/* Strides in elements, of 64 bits; the innermost stride is 1. Layout rows: [tokens, hidden], heads
 * and head strides are ignored. Layout heads: [tokens, heads, hidden]. A stride of a dimension of
 * extent <= 1 is ignored. In place: the output's pointer is NULL or the input's, and its strides
 * are zero or the input's. Limits: layout rows 2^31 - 1 blocks; layout heads, of tokens and heads
 * the more (2^31 - 1) / blocks of a row, the fewer 65535. */
typedef struct rmsjit_args {
  size_t struct_size;
  const void* x;
  const void* weight;   /* [hidden]; NULL exactly for a weightless spec */
  const void* residual; /* NULL exactly for residual=none */
  void* residual_out;   /* receives h = x + residual, in the residual's dtype */
  void* y;
  int64_t tokens;
  int64_t heads;
  int64_t x_token_stride;
  int64_t x_head_stride;
  int64_t residual_token_stride;
  int64_t residual_head_stride;
  int64_t residual_out_token_stride;
  int64_t residual_out_head_stride;
  int64_t y_token_stride;
  int64_t y_head_stride;
  float eps;        /* finite, >= 0 */
  int32_t reserved; /* 0 */
} rmsjit_args;

/* Normalises each row of x into y on `stream` and returns before the GPU is done:
 *   h = x [+ residual];  y[i] = h[i] / sqrt(mean(h^2) + eps) * weight[i]
 * One driver call; no lock, allocation, file, environment or log. Legal on a capturing stream. No
 * rows: success, nothing is launched. Errors: INVALID_ARGUMENT (null, misaligned to its element,
 * misdeclared or overlapping pointer, stride smaller than a row, eps), WRONG_DEVICE, WRONG_CONTEXT,
 * DRIVER. On an error nothing was launched. Source: Zhang and Sennrich 2019 (RMSNorm). */
RMSJIT_API rmsjit_status rmsjit_kernel_launch(const rmsjit_kernel* kernel, const rmsjit_args* args,
                                              void* stream, rmsjit_error* error);
/* The same after a lock-free lookup of (spec, device). An unprepared key is prepared first, unless
 * the stream is capturing or the runtime is sealed: then NOT_PREPARED, the capture stays valid. */
RMSJIT_API rmsjit_status rmsjit_launch(rmsjit_runtime* runtime, const rmsjit_spec* spec,
                                       int32_t device, const rmsjit_args* args, void* stream,
                                       rmsjit_error* error);

/* --- models -------------------------------------------------------------------------------- */
/* Derives the key set of a Hugging Face config.json (its text, not its path) under an engine
 * profile ("rmsjit", "flashinfer", "vllm_cuda", ...; NULL: "rmsjit"). tensor_parallel divides
 * sharded widths; 0 means 1. *json receives the text that `rmsnorm-aot keys --json` prints; free it
 * with rmsjit_free. Errors: INVALID_ARGUMENT, NOT_FOUND (unknown family or profile). */
RMSJIT_API rmsjit_status rmsjit_keys_for_model(const char* config_json, const char* like,
                                               int32_t tensor_parallel, char** json,
                                               rmsjit_error* error);
RMSJIT_API void rmsjit_free(void* memory);
/* Sets what the engine profile says for this norm: rounding, placement, pdl. Reads spec->residual
 * and spec->weight_form; role ("query", "key", ...; NULL: none) matters to few profiles.
 * Errors: INVALID_ARGUMENT, NOT_FOUND (unknown profile). */
RMSJIT_API rmsjit_status rmsjit_apply_profile(const char* like, const char* role, rmsjit_spec* spec,
                                              rmsjit_error* error);

/* "0.1.0" */
RMSJIT_API const char* rmsjit_version(void);

#ifdef __cplusplus
}
#endif

#endif /* RMSJIT_C_H_ */
