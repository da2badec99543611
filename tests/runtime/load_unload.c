/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the shared library, uses what needs no device and unloads it, several times over: no thread
 * and no memory of the library stays behind. Run under valgrind where there is one.
 * Usage: load_unload LIBRARY FAKE_NVRTC WORKER */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "rmsjit/rmsjit_c.h"

typedef struct functions {
  rmsjit_status (*create)(const rmsjit_options*, rmsjit_runtime**, rmsjit_error*);
  rmsjit_status (*precompile)(rmsjit_runtime*, const rmsjit_spec*, const char*, rmsjit_error*);
  void (*close)(rmsjit_runtime*);
} functions;

static int use(const functions* f, rmsjit_options* options, const char* target,
               rmsjit_status expected) {
  rmsjit_runtime* runtime = NULL;
  rmsjit_spec spec;
  rmsjit_status status;
  static rmsjit_error error;
  options->struct_size = sizeof *options;
  options->cache_dir = "";
  options->bundle_path = "/absent";
  if (f->create(options, &runtime, &error) != RMSJIT_OK) return 1;
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.hidden = 64;
  error.message[0] = 0;
  status = f->precompile(runtime, &spec, target, &error);
  f->close(runtime);
  if (status == expected) return 0;
  fprintf(stderr, "%s: %d, expected %d: %s\n", target, status, expected, error.message);
  return 1;
}

static functions find(void* library) {
  functions f;
  /* ISO C has no conversion from void* to a function pointer. */
  *(void**)&f.create = dlsym(library, "rmsjit_runtime_create");
  *(void**)&f.precompile = dlsym(library, "rmsjit_precompile");
  *(void**)&f.close = dlsym(library, "rmsjit_runtime_close");
  return f;
}

/* Whether the library was as expected after one load, use and unload. */
static int one_round(char** argv, int32_t compile) {
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  functions f;
  rmsjit_options options;
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  f = find(library);
  memset(&options, 0, sizeof options);
  options.jit = RMSJIT_JIT_OFF;
  if (use(&f, &options, "sm_90", RMSJIT_JIT_DISABLED) != 0) return 1;
  options.jit = RMSJIT_JIT_ON;
  options.nvrtc = argv[2];
  options.worker = argv[3];
  options.compile = compile;
  if (use(&f, &options, "compute_90", RMSJIT_OK) != 0) return 1;
  if (dlclose(library) != 0) return 1;
  /* After a compile in this process NVRTC calls into the library, which therefore stays. */
  library = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
  if ((library != NULL) == (compile == RMSJIT_COMPILE_INPROCESS)) return 0;
  fprintf(stderr, "%s %s after dlclose\n", argv[1], library != NULL ? "stays loaded" : "is gone");
  return 1;
}

int main(int argc, char** argv) {
  int round;
  if (argc != 4) return 2;
  for (round = 0; round < 3; ++round) {
    if (one_round(argv, RMSJIT_COMPILE_WORKER) != 0) return 1;
  }
  if (one_round(argv, RMSJIT_COMPILE_INPROCESS) != 0) return 1;
  puts("ok");
  return 0;
}
