/* SPDX-License-Identifier: Apache-2.0 */
/* Loads the shared library, uses what needs no device and unloads it, three times over; run under
 * valgrind where there is one. Usage: load_unload LIBRARY */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "rmsjit/rmsjit_c.h"

typedef rmsjit_status (*create_function)(const rmsjit_options*, rmsjit_runtime**, rmsjit_error*);
typedef rmsjit_status (*precompile_function)(rmsjit_runtime*, const rmsjit_spec*, const char*,
                                             rmsjit_error*);
typedef void (*close_function)(rmsjit_runtime*);

static int use(void* library) {
  create_function create;
  precompile_function precompile;
  close_function close_runtime;
  rmsjit_options options;
  rmsjit_spec spec;
  rmsjit_runtime* runtime = NULL;
  static rmsjit_error error;
  /* ISO C has no conversion from void* to a function pointer. */
  *(void**)&create = dlsym(library, "rmsjit_runtime_create");
  *(void**)&precompile = dlsym(library, "rmsjit_precompile");
  *(void**)&close_runtime = dlsym(library, "rmsjit_runtime_close");
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.cache_dir = "";
  options.bundle_path = "/absent";
  options.jit = RMSJIT_JIT_OFF;
  if (create(&options, &runtime, &error) != RMSJIT_OK) return 1;
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.hidden = 64;
  if (precompile(runtime, &spec, "sm_90", &error) != RMSJIT_JIT_DISABLED) return 1;
  close_runtime(runtime);
  return 0;
}

int main(int argc, char** argv) {
  int round;
  if (argc != 2) return 2;
  for (round = 0; round < 3; ++round) {
    void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
      fprintf(stderr, "%s\n", dlerror());
      return 1;
    }
    if (use(library) != 0) return 1;
    if (dlclose(library) != 0) return 1;
    library = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
    if (library != NULL) {
      fprintf(stderr, "%s stays loaded after dlclose\n", argv[1]);
      return 1;
    }
  }
  puts("ok");
  return 0;
}
