/* SPDX-License-Identifier: Apache-2.0 */
/* What an engine in C hangs onto a runtime: storage of its own, log, compile and trace callbacks, a
 * journal, statistics. Compiles with the fake NVRTC. Usage: c_hooks_test FAKE_NVRTC JOURNAL */
#include "c_check.h"

typedef struct engine {
  char key[65];
  char bytes[65536];
  size_t size;
  int gets, puts, compiles, warnings, depth, deepest, unbalanced;
  char compiled[128], reason[512], traced[256];
} engine;

static void engine_get(void* user, const char* key, rmsjit_storage_sink give, void* sink) {
  engine* e = user;
  ++e->gets;
  if (strcmp(key, e->key) == 0) give(sink, e->bytes, e->size);
}

static int32_t engine_put(void* user, const char* key, const void* bytes, size_t size) {
  engine* e = user;
  ++e->puts;
  if (strlen(key) != 64 || size > sizeof e->bytes) return 1;
  strcpy(e->key, key);
  memcpy(e->bytes, bytes, size);
  e->size = size;
  return 0;
}

static void engine_log(void* user, int32_t level, const char* message) {
  if (level == RMSJIT_LOG_WARNING) {
    ++((engine*)user)->warnings;
    fprintf(stderr, "warning: %s\n", message);
  }
}

static void engine_compiled(void* user, const char* spec, const char* target, const char* reason,
                            double ms) {
  engine* e = user;
  ++e->compiles;
  CHECK(ms >= 0);
  snprintf(e->compiled, sizeof e->compiled, "%s for %s", spec, target);
  snprintf(e->reason, sizeof e->reason, "%s", reason);
}

static void engine_trace(void* user, int32_t phase, const char* what, const char* spec) {
  engine* e = user;
  CHECK(strcmp(spec, "hidden=64,x=bf16") == 0);
  e->depth += phase == RMSJIT_TRACE_BEGIN ? 1 : -1;
  if (e->depth < 0) ++e->unbalanced;
  if (e->depth > e->deepest) e->deepest = e->depth;
  if (phase == RMSJIT_TRACE_BEGIN) {
    strcat(e->traced, what);
    strcat(e->traced, " ");
  }
}

static rmsjit_stats run(engine* e, const char* nvrtc, const char* journal, rmsjit_status expected) {
  rmsjit_storage storage;
  rmsjit_options options;
  rmsjit_spec spec;
  rmsjit_error error;
  rmsjit_stats stats;
  rmsjit_runtime* runtime = NULL;
  memset(&storage, 0, sizeof storage);
  storage.struct_size = sizeof storage;
  storage.user = e;
  storage.get = engine_get;
  storage.put = engine_put;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.cache_dir = "";
  options.nvrtc = nvrtc;
  options.jit = nvrtc == NULL ? RMSJIT_JIT_OFF : RMSJIT_JIT_ON;
  options.compile = RMSJIT_COMPILE_INPROCESS;
  options.storage = &storage;
  options.log = engine_log;
  options.on_compile = engine_compiled;
  options.trace = engine_trace;
  options.log_user = options.on_compile_user = options.trace_user = e;
  options.journal = journal;
  CHECK(rmsjit_runtime_create(&options, &runtime, &error) == RMSJIT_OK);
  memset(&storage, 0x55, sizeof storage); /* it was copied */
  memset(&options, 0x55, sizeof options);
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.hidden = 64;
  CHECK(rmsjit_precompile(runtime, &spec, "compute_90", &error) == expected);
  if (expected != RMSJIT_OK) check_message(&error, expected, "the host's storage (");
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  CHECK(rmsjit_stats_get(runtime, &stats, NULL) == RMSJIT_OK);
  rmsjit_runtime_close(runtime);
  CHECK(e->depth == 0 && e->unbalanced == 0);
  return stats;
}

static void check_journal(const char* journal) {
  char line[128] = "";
  FILE* file = fopen(journal, "r");
  CHECK(file != NULL);
  if (file == NULL) return;
  CHECK(fgets(line, sizeof line, file) != NULL && strcmp(line, "hidden=64,x=bf16\n") == 0);
  CHECK(fgets(line, sizeof line, file) == NULL);
  fclose(file);
}

int main(int argc, char** argv) {
  static engine e;
  rmsjit_stats stats;
  if (argc != 3) return 2;
  remove(argv[2]);
  stats = run(&e, argv[1], argv[2], RMSJIT_OK);
  CHECK(stats.compiles == 1 && stats.disk_hits == 0);
  CHECK(e.puts == 1 && e.gets >= 1 && e.size > 0);
  CHECK(e.compiles == 1 && strcmp(e.compiled, "hidden=64,x=bf16 for compute_90") == 0);
  CHECK(strstr(e.reason, "the host's storage (no entry)") != NULL);
  CHECK(strcmp(e.traced, "read wait compile ") == 0);
  check_journal(argv[2]);

  /* The next process, which has no compiler. */
  e.traced[0] = 0;
  stats = run(&e, NULL, argv[2], RMSJIT_OK);
  CHECK(stats.compiles == 0 && stats.disk_hits == 1);
  CHECK(e.compiles == 1 && e.puts == 1 && strcmp(e.traced, "read ") == 0);
  check_journal(argv[2]);

  /* A store that damages what it was given costs a compile and nothing else. */
  CHECK(e.warnings == 0);
  e.bytes[e.size / 2] ^= 1;
  stats = run(&e, argv[1], NULL, RMSJIT_OK);
  CHECK(stats.compiles == 1 && stats.damaged == 1 && e.puts == 2 && e.warnings == 1);
  e.bytes[e.size / 2] ^= 1;
  stats = run(&e, NULL, NULL, RMSJIT_JIT_DISABLED);
  CHECK(stats.damaged == 1);
  return finish();
}
