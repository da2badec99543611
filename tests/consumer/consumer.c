/* SPDX-License-Identifier: Apache-2.0 */
/* The same in C. */
#include <stdio.h>
#include <string.h>

#include "rmsjit/rmsjit_c.h"

int main(void) {
  rmsjit_options options;
  rmsjit_spec spec;
  rmsjit_error error;
  rmsjit_runtime* runtime = NULL;
  rmsjit_status status;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.cache_dir = "";
  options.jit = RMSJIT_JIT_OFF;
  if (rmsjit_runtime_create(&options, &runtime, &error) != RMSJIT_OK) {
    printf("create: %s\n", error.message);
    return 1;
  }
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.hidden = 4096;
  status = rmsjit_precompile(runtime, &spec, "sm_90", &error);
  printf("rmsjit %s: %s\n", rmsjit_version(), error.message);
  rmsjit_runtime_close(runtime);
  return status == RMSJIT_JIT_DISABLED ? 0 : 1;
}
