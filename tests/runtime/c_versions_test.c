/* SPDX-License-Identifier: Apache-2.0 */
/* What may not change under a program that was built against another version of rmsjit_c.h: the
 * numbers, and how structs of another size are read and filled. The launch arguments and the kernel
 * info, which need a kernel, are held to the same in cxx_api_test.cc. */
#include "c_check.h"

static void numbers(void) {
  static const int given[] = {RMSJIT_OK,
                              RMSJIT_INVALID_ARGUMENT,
                              RMSJIT_UNSUPPORTED,
                              RMSJIT_NOT_PREPARED,
                              RMSJIT_JIT_DISABLED,
                              RMSJIT_COMPILE_FAILED,
                              RMSJIT_COMPILER_UNAVAILABLE,
                              RMSJIT_WORKER_FAILED,
                              RMSJIT_DRIVER,
                              RMSJIT_DRIVER_UNAVAILABLE,
                              RMSJIT_WRONG_DEVICE,
                              RMSJIT_WRONG_CONTEXT,
                              RMSJIT_DAMAGED,
                              RMSJIT_UNTRUSTED,
                              RMSJIT_NOT_FOUND,
                              RMSJIT_IO,
                              RMSJIT_TIMEOUT,
                              RMSJIT_TOO_MANY_KEYS,
                              RMSJIT_CLOSED,
                              RMSJIT_INTERNAL};
  size_t i;
  for (i = 0; i < sizeof given / sizeof given[0]; ++i) CHECK(given[i] == (int)i);
  CHECK(RMSJIT_BF16 == 1 && RMSJIT_F16 == 2 && RMSJIT_F32 == 3 && RMSJIT_NO_WEIGHT == 4);
  CHECK(RMSJIT_ROWS == 0 && RMSJIT_HEADS == 1 && RMSJIT_RESIDUAL_ADD == 1);
  CHECK(RMSJIT_WEIGHT_ONE_PLUS == 1 && RMSJIT_Y_IN_PLACE == 1 && RMSJIT_RESIDUAL_OUT_OF_PLACE == 1);
  CHECK(RMSJIT_ADD_ROUNDED == 0 && RMSJIT_ADD_UNROUNDED == 1 && RMSJIT_ADD_STATS_UNROUNDED == 2);
  CHECK(RMSJIT_MUL_ROUND_TWICE == 1 && RMSJIT_ROOT_EXACT == 1);
  CHECK(RMSJIT_PDL_ON == 1 && RMSJIT_PDL_AUTO == 2);
  CHECK(RMSJIT_JIT_ON == 1 && RMSJIT_JIT_WARN == 2 && RMSJIT_JIT_OFF == 3);
  CHECK(RMSJIT_COMPILE_WORKER == 1 && RMSJIT_COMPILE_INPROCESS == 2);
  CHECK(RMSJIT_LOG_DEBUG == 0 && RMSJIT_LOG_INFO == 1 && RMSJIT_LOG_WARNING == 2);
  CHECK(RMSJIT_TRACE_BEGIN == 0 && RMSJIT_TRACE_END == 1);
}

static void specs(void) {
  struct {
    rmsjit_spec spec;
    char newer[16];
  } large;
  rmsjit_error error;
  rmsjit_spec out;
  char text[128];
  memset(&large, 0, sizeof large);
  large.spec.hidden = 64;
  large.spec.layout = RMSJIT_HEADS;
  large.spec.pdl = 77; /* beyond what the older caller knows */
  large.spec.struct_size = offsetof(rmsjit_spec, root);
  CHECK(rmsjit_spec_text(&large.spec, text, sizeof text, NULL, &error) == RMSJIT_OK);
  CHECK(strcmp(text, "hidden=64,layout=heads,x=bf16") == 0);
  large.spec.pdl = RMSJIT_PDL_OFF;
  large.spec.struct_size = sizeof large;
  CHECK(rmsjit_spec_text(&large.spec, text, sizeof text, NULL, &error) == RMSJIT_OK);
  large.newer[3] = 1;
  CHECK(rmsjit_spec_text(&large.spec, text, sizeof text, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "spec.struct_size=88 is of a newer rmsjit");
  large.spec.struct_size = 0;
  CHECK(rmsjit_spec_text(&large.spec, text, sizeof text, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "spec.struct_size=0 is not a size");
  large.spec.struct_size = (size_t)1 << 40;
  CHECK(rmsjit_spec_text(&large.spec, text, sizeof text, NULL, NULL) == RMSJIT_INVALID_ARGUMENT);

  memset(&out, 0x55, sizeof out);
  out.struct_size = offsetof(rmsjit_spec, root);
  CHECK(rmsjit_spec_parse("hidden=64", &out, &error) == RMSJIT_OK);
  CHECK(out.hidden == 64 && out.root == 0x55555555);
}

static rmsjit_status create(const rmsjit_options* options, rmsjit_error* error) {
  rmsjit_runtime* runtime = NULL;
  const rmsjit_status status = rmsjit_runtime_create(options, &runtime, error);
  CHECK((runtime != NULL) == (status == RMSJIT_OK));
  rmsjit_runtime_close(runtime);
  return status;
}

static void options(void) {
  struct {
    rmsjit_options options;
    char newer[16];
  } large;
  rmsjit_error error;
  memset(&large, 0, sizeof large);
  large.options.jit = 17;
  large.options.struct_size = offsetof(rmsjit_options, jit);
  CHECK(create(&large.options, &error) == RMSJIT_OK);
  large.options.struct_size = offsetof(rmsjit_options, compile);
  CHECK(create(&large.options, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "jit=17");
  large.options.jit = RMSJIT_JIT_OFF;
  large.options.struct_size = sizeof large;
  CHECK(create(&large.options, &error) == RMSJIT_OK);
  large.newer[15] = 1;
  CHECK(create(&large.options, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "options.struct_size=");
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "is of a newer rmsjit");
  large.options.struct_size = 7;
  CHECK(create(&large.options, &error) == RMSJIT_INVALID_ARGUMENT);
  CHECK(create(NULL, &error) == RMSJIT_OK);
}

static void get(void* user, const char* key, rmsjit_storage_sink give, void* sink) {
  (void)user;
  (void)key;
  (void)give;
  (void)sink;
}
static int32_t put(void* user, const char* key, const void* bytes, size_t size) {
  (void)user;
  (void)key;
  (void)bytes;
  return size == 0;
}

static void storages(void) {
  struct {
    rmsjit_storage storage;
    char newer[16];
  } large;
  rmsjit_options given;
  rmsjit_error error;
  memset(&large, 0, sizeof large);
  memset(&given, 0, sizeof given);
  given.struct_size = sizeof given;
  given.storage = &large.storage;
  large.storage.get = get;
  large.storage.put = put;
  large.storage.struct_size = offsetof(rmsjit_storage, put);
  CHECK(create(&given, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "storage.put is null");
  large.storage.struct_size = sizeof large;
  CHECK(create(&given, &error) == RMSJIT_OK);
  large.newer[0] = 1;
  CHECK(create(&given, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "storage.struct_size=");
}

static void stats(void) {
  struct {
    rmsjit_stats stats;
    char newer[16];
  } large;
  rmsjit_runtime* runtime = NULL;
  rmsjit_error error;
  size_t i;
  CHECK(rmsjit_runtime_create(NULL, &runtime, &error) == RMSJIT_OK);
  memset(&large, 0x55, sizeof large);
  large.stats.struct_size = offsetof(rmsjit_stats, compiles);
  CHECK(rmsjit_stats_get(runtime, &large.stats, &error) == RMSJIT_OK);
  CHECK(large.stats.struct_size == offsetof(rmsjit_stats, compiles));
  CHECK(large.stats.disk_hits == 0 && large.stats.compiles == UINT64_C(0x5555555555555555));
  large.stats.struct_size = sizeof large;
  CHECK(rmsjit_stats_get(runtime, &large.stats, &error) == RMSJIT_OK);
  CHECK(large.stats.loaded_kernels == 0);
  for (i = 0; i < sizeof large.newer; ++i) CHECK(large.newer[i] == 0);
  large.stats.struct_size = 0;
  CHECK(rmsjit_stats_get(runtime, &large.stats, &error) == RMSJIT_INVALID_ARGUMENT);
  large.stats.struct_size = (size_t)1 << 40;
  CHECK(rmsjit_stats_get(runtime, &large.stats, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "stats.struct_size=1099511627776 is not a size");
  rmsjit_runtime_close(runtime);
}

static void prepare_options(void) {
  struct {
    rmsjit_prepare_options options;
    char newer[16];
  } large;
  rmsjit_runtime* runtime = NULL;
  rmsjit_error error;
  CHECK(rmsjit_runtime_create(NULL, &runtime, &error) == RMSJIT_OK);
  memset(&large, 0, sizeof large);
#define PREPARE() rmsjit_prepare_many(runtime, NULL, 0, 0, &large.options, NULL, NULL, &error)
  large.options.jobs = -1;
  large.options.struct_size = offsetof(rmsjit_prepare_options, jobs);
  CHECK(PREPARE() == RMSJIT_OK);
  large.options.struct_size = offsetof(rmsjit_prepare_options, timeout_ms);
  CHECK(PREPARE() == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "jobs=-1");
  large.options.jobs = 0;
  large.options.struct_size = sizeof large;
  CHECK(PREPARE() == RMSJIT_OK);
  large.newer[7] = 1;
  CHECK(PREPARE() == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "is of a newer rmsjit");
  rmsjit_runtime_close(runtime);
}

int main(void) {
  numbers();
  specs();
  options();
  storages();
  stats();
  prepare_options();
  return finish();
}
