/* SPDX-License-Identifier: Apache-2.0 */
/* The C ABI as a C99 host sees it, against the shared library, without a device.
 * Usage: c_api_test CACHE_DIR */
#include "c_check.h"

static void spec_texts(void) {
  rmsjit_error error;
  rmsjit_spec spec;
  char text[128];
  size_t length = 0;
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  CHECK(rmsjit_spec_parse("hidden=4096,residual=add,pdl=auto", &spec, &error) == RMSJIT_OK);
  CHECK(spec.struct_size == sizeof spec);
  CHECK(spec.hidden == 4096 && spec.residual == RMSJIT_RESIDUAL_ADD && spec.pdl == RMSJIT_PDL_AUTO);
  CHECK(rmsjit_spec_text(&spec, text, sizeof text, &length, &error) == RMSJIT_OK);
  CHECK(strcmp(text, "hidden=4096,x=bf16,residual=add,pdl=auto") == 0);
  CHECK(length == strlen(text));

  memset(text, 'z', sizeof text);
  CHECK(rmsjit_spec_text(&spec, text, length, &length, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "capacity=40 is too small for the text");
  CHECK(length == 40 && text[0] == 'z');
  CHECK(rmsjit_spec_text(&spec, text, length + 1, NULL, NULL) == RMSJIT_OK);

  CHECK(rmsjit_spec_parse("hidden=4096,colour=red", &spec, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "colour");
  CHECK(rmsjit_spec_parse(NULL, &spec, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "text is null");
  CHECK(rmsjit_spec_parse("hidden=1", NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "spec is null");
}

static void runtimes(const char* cache_dir) {
  rmsjit_error error;
  rmsjit_options options;
  rmsjit_runtime* runtime = NULL;
  rmsjit_stats stats;
  rmsjit_spec spec;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.cache_dir = cache_dir;
  options.jit = RMSJIT_JIT_OFF;
  CHECK(rmsjit_runtime_create(&options, &runtime, &error) == RMSJIT_OK);

  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.hidden = 4096;
  error.code = RMSJIT_OK;
  CHECK(rmsjit_precompile(runtime, &spec, "sm_90", &error) == RMSJIT_JIT_DISABLED);
  check_message(&error, RMSJIT_JIT_DISABLED, "hidden=4096,x=bf16");
  check_message(&error, RMSJIT_JIT_DISABLED, cache_dir);
  CHECK(rmsjit_precompile(runtime, &spec, "sm_75", &error) == RMSJIT_UNSUPPORTED);
  CHECK(rmsjit_precompile(runtime, &spec, "gpu", &error) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_precompile(runtime, &spec, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_precompile(NULL, &spec, "sm_90", &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "runtime is null");

  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  CHECK(rmsjit_stats_get(runtime, &stats, &error) == RMSJIT_OK);
  CHECK(stats.compiles == 0 && stats.loaded_kernels == 0);
  CHECK(rmsjit_stats_get(runtime, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_forget_device(runtime, 0, &error) == RMSJIT_OK);
  rmsjit_seal(runtime);
  rmsjit_runtime_close(runtime);
  rmsjit_runtime_close(NULL);

  options.jit = 17;
  runtime = (rmsjit_runtime*)&spec;
  CHECK(rmsjit_runtime_create(&options, &runtime, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "jit=17");
  CHECK(runtime == NULL);
  CHECK(rmsjit_runtime_create(&options, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
}

static void long_messages_are_cut_and_say_so(void) {
  static char path[9000];
  rmsjit_error error;
  rmsjit_options options;
  rmsjit_runtime* runtime = NULL;
  rmsjit_spec spec;
  size_t i;
  for (i = 0; i + 10 < sizeof path; i += 9) memcpy(path + i, "/absent/:", 9);
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.cache_dir = "";
  options.bundle_path = path;
  options.jit = RMSJIT_JIT_OFF;
  CHECK(rmsjit_runtime_create(&options, &runtime, &error) == RMSJIT_OK);
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.hidden = 64;
  CHECK(rmsjit_precompile(runtime, &spec, "sm_90", &error) == RMSJIT_JIT_DISABLED);
  CHECK(strlen(error.message) == sizeof error.message - 1);
  check_message(&error, RMSJIT_JIT_DISABLED, "bytes in all]");
  rmsjit_runtime_close(runtime);
}

static void null_handles(void) {
  rmsjit_error error;
  rmsjit_args args;
  rmsjit_spec spec;
  rmsjit_kernel_info info;
  const rmsjit_kernel* kernel = (const rmsjit_kernel*)&args;
  memset(&args, 0, sizeof args);
  args.struct_size = sizeof args;
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(rmsjit_kernel_launch(NULL, &args, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  check_message(&error, RMSJIT_INVALID_ARGUMENT, "kernel is null");
  CHECK(rmsjit_launch(NULL, &spec, 0, &args, NULL, NULL) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_prepare(NULL, &spec, 0, &kernel, NULL) == RMSJIT_INVALID_ARGUMENT);
  CHECK(kernel == NULL);
  CHECK(rmsjit_prepare_many(NULL, &spec, 1, 0, NULL, NULL, NULL, NULL) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_kernel_info_get(NULL, &info, NULL) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_forget_device(NULL, 0, NULL) == RMSJIT_INVALID_ARGUMENT);
  rmsjit_seal(NULL);
}

static void models(void) {
  static const char config[] =
      "{\"model_type\":\"llama\",\"hidden_size\":4096,\"num_hidden_layers\":32,"
      "\"torch_dtype\":\"bfloat16\"}";
  rmsjit_error error;
  char* json = NULL;
  CHECK(rmsjit_keys_for_model(config, NULL, 0, &json, &error) == RMSJIT_OK);
  CHECK(json != NULL && strstr(json, "hidden=4096,x=bf16") != NULL);
  rmsjit_free(json);
  CHECK(rmsjit_keys_for_model(config, "no such engine", 0, &json, &error) == RMSJIT_NOT_FOUND);
  CHECK(json == NULL);
  CHECK(rmsjit_keys_for_model("[]", NULL, 0, &json, &error) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_keys_for_model(NULL, NULL, 0, &json, &error) == RMSJIT_INVALID_ARGUMENT);
  CHECK(rmsjit_keys_for_model(config, NULL, 0, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
  rmsjit_free(NULL);
}

static void profiles(void) {
  rmsjit_error error;
  rmsjit_spec spec;
  memset(&spec, 0, sizeof spec);
  spec.struct_size = sizeof spec;
  spec.residual = RMSJIT_RESIDUAL_ADD;
  CHECK(rmsjit_apply_profile("flashinfer", NULL, &spec, &error) == RMSJIT_OK);
  CHECK(spec.add_round == RMSJIT_ADD_UNROUNDED && spec.pdl == RMSJIT_PDL_AUTO);
  CHECK(spec.y_placement == RMSJIT_Y_IN_PLACE && spec.hidden == 0);
  spec.residual = RMSJIT_RESIDUAL_NONE;
  spec.y_placement = RMSJIT_Y_OUT_OF_PLACE;
  CHECK(rmsjit_apply_profile("sglang", "query", &spec, &error) == RMSJIT_OK);
  CHECK(spec.y_placement == RMSJIT_Y_IN_PLACE);
  CHECK(rmsjit_apply_profile("no such engine", NULL, &spec, &error) == RMSJIT_NOT_FOUND);
  CHECK(rmsjit_apply_profile(NULL, NULL, NULL, &error) == RMSJIT_INVALID_ARGUMENT);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  CHECK(strchr(rmsjit_version(), '.') != NULL);
  spec_texts();
  runtimes(argv[1]);
  long_messages_are_cut_and_say_so();
  null_handles();
  models();
  profiles();
  return finish();
}
