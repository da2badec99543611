/* SPDX-License-Identifier: Apache-2.0 */
/* engine_loop.c: the norms of a decoder, as an engine in C99 runs them: two keys prepared at start,
 * the runtime sealed, then one launch a norm into buffers that the engine owns. Needs neither
 * CUDA's headers nor a toolkit: cc -std=c99 engine_loop.c $(pkg-config --cflags --libs rmsjit)
 * -l:libcuda.so.1 -o engine_loop */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rmsjit/rmsjit_c.h"

/* What an engine has already: a context, device memory, a stream (0: the legacy one). */
int cuInit(unsigned flags);
int cuDevicePrimaryCtxRetain(void** context, int device);
int cuCtxPushCurrent_v2(void* context);
int cuMemAlloc_v2(unsigned long long* address, size_t bytes);
int cuCtxSynchronize(void);

enum { kDevice = 0, kLayers = 32, kHidden = 4096, kTokens = 16, kSteps = 10 };

typedef struct engine {
  rmsjit_runtime* runtime;
  const rmsjit_kernel* first; /* the norm before the first block: no residual yet */
  const rmsjit_kernel* add;   /* every other one: residual += x, y = norm(residual) * weight */
  void *x, *y, *residual, *weight;
} engine;

static void need(int failed, const char* what) {
  if (!failed) return;
  fprintf(stderr, "engine_loop: %s\n", what);
  exit(1);
}

static void* device_bytes(size_t bytes) {
  unsigned long long address = 0;
  need(cuMemAlloc_v2(&address, bytes), "no device memory");
  return (void*)(size_t)address;
}

/* Everything slow. `rmsnorm-aot keys --model config.json` prints the specs of a model. */
static void start(engine* e) {
  static const char* const texts[] = {"hidden=4096,x=bf16,pdl=auto",
                                      "hidden=4096,x=bf16,residual=add,pdl=auto"};
  rmsjit_spec specs[2];
  const rmsjit_kernel* kernels[2];
  rmsjit_error error;
  memset(specs, 0, sizeof specs);
  for (int i = 0; i < 2; ++i) {
    specs[i].struct_size = sizeof specs[i];
    need(rmsjit_spec_parse(texts[i], &specs[i], &error), error.message);
  }
  need(rmsjit_runtime_create(NULL, &e->runtime, &error), error.message);
  need(rmsjit_prepare_many(e->runtime, specs, 2, kDevice, NULL, kernels, NULL, &error),
       error.message);
  rmsjit_seal(e->runtime); /* from here on a key that is missing is an error, never a compile */
  e->first = kernels[0];
  e->add = kernels[1];
}

/* One driver call each; legal while the stream is being captured into a graph. */
static void decode_step(const engine* e, void* stream) {
  rmsjit_args args;
  rmsjit_error error;
  memset(&args, 0, sizeof args);
  args.struct_size = sizeof args;
  args.tokens = kTokens;
  args.x_token_stride = args.y_token_stride = kHidden;
  args.eps = 1e-5f;
  args.x = e->x;
  args.y = e->y;
  args.weight = e->weight;
  need(rmsjit_kernel_launch(e->first, &args, stream, &error), error.message);
  args.residual = args.residual_out = e->residual;
  args.residual_token_stride = args.residual_out_token_stride = kHidden;
  for (int norm = 1; norm < 2 * kLayers + 1; ++norm) {
    /* attention or MLP of the engine: y to x */
    need(rmsjit_kernel_launch(e->add, &args, stream, &error), error.message);
  }
}

int main(void) {
  engine e;
  void* context = NULL;
  rmsjit_stats stats;
  rmsjit_error error;
  need(cuInit(0) || cuDevicePrimaryCtxRetain(&context, kDevice) || cuCtxPushCurrent_v2(context),
       "no GPU");
  memset(&e, 0, sizeof e);
  e.x = device_bytes(kTokens * kHidden * 2);
  e.y = device_bytes(kTokens * kHidden * 2);
  e.residual = device_bytes(kTokens * kHidden * 2);
  e.weight = device_bytes(kHidden * 2);
  start(&e);
  for (int step = 0; step < kSteps; ++step) decode_step(&e, NULL);
  need(cuCtxSynchronize(), "a kernel failed");
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  need(rmsjit_stats_get(e.runtime, &stats, &error), error.message);
  printf("%d launches, %d kernels, %d compiled\n", kSteps * (2 * kLayers + 1),
         (int)stats.loaded_kernels, (int)stats.compiles);
  rmsjit_runtime_close(e.runtime);
  return 0;
}
