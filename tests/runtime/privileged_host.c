/* SPDX-License-Identifier: Apache-2.0 */
/* A host that a test runs twice, as itself and with raised privileges: prints what the environment
   makes of a runtime, and of a key that nothing holds. */
#include <stdio.h>

#include "rmsjit/rmsjit_c.h"

int main(void) {
  rmsjit_error error;
  rmsjit_runtime* runtime = NULL;
  rmsjit_spec spec;
  error.message[0] = '\0';
  spec.struct_size = sizeof spec;
  if (rmsjit_runtime_create(NULL, &runtime, &error) != RMSJIT_OK) {
    printf("create: %s\n", error.message);
    return 0;
  }
  if (rmsjit_spec_parse("hidden=64", &spec, &error) != RMSJIT_OK) return 1;
  error.message[0] = '\0';
  rmsjit_precompile(runtime, &spec, "sm_90", &error);
  printf("precompile: %s\n", error.message);
  rmsjit_runtime_close(runtime);
  return 0;
}
