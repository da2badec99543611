// SPDX-License-Identifier: Apache-2.0
// The part of the C ABI that needs no runtime: spec texts, models, the version.
#include <stdlib.h>

#include <cstring>
#include <string>

#include "rmsjit/rmsjit_c.h"
#include "rmsjit/spec_text.h"
#include "rmsjit/version.h"
#include "runtime/c_error.h"
#include "runtime/c_structs.h"
#include "runtime/model_keys.h"

using rmsjit::finish;
using rmsjit::NormSpec;
using rmsjit::read_spec;
using rmsjit::Status;
using rmsjit::errors::argument_null;

namespace {

Status spec_parse(const char* text, rmsjit_spec* out) {
  if (text == nullptr) return argument_null("text");
  RMSJIT_ASSIGN_OR_RETURN(const NormSpec spec, rmsjit::parse_spec(text));
  return rmsjit::give_back(rmsjit::to_c(spec), "spec", out);
}

Status spec_text(const rmsjit_spec* given, char* text, size_t capacity, size_t* length) {
  RMSJIT_ASSIGN_OR_RETURN(const NormSpec spec, read_spec(given));
  RMSJIT_RETURN_IF_ERROR(rmsjit::validate(spec));
  const std::string written = rmsjit::spec_text(spec);
  if (length != nullptr) *length = written.size();
  if (text == nullptr && capacity != 0) return argument_null("text");
  if (capacity <= written.size())
    return rmsjit::errors::text_too_long(capacity, written.size() + 1);
  std::memcpy(text, written.c_str(), written.size() + 1);
  return {};
}

Status keys_for_model(const char* config_json, const char* like, int32_t tensor_parallel,
                      char** json) {
  if (config_json == nullptr) return argument_null("config_json");
  if (json == nullptr) return argument_null("json");
  *json = nullptr;
  RMSJIT_ASSIGN_OR_RETURN(
      const rmsjit::ModelKeys keys,
      rmsjit::keys_for_model(config_json, like == nullptr ? "" : like, tensor_parallel));
  *json = strdup(rmsjit::model_keys_json(keys).c_str());
  return {};
}

Status apply_profile(const char* like, const char* role, rmsjit_spec* spec) {
  RMSJIT_ASSIGN_OR_RETURN(NormSpec filled, read_spec(spec));
  RMSJIT_RETURN_IF_ERROR(
      rmsjit::apply_profile(like == nullptr ? "" : like, role == nullptr ? "" : role, filled));
  return rmsjit::give_back(rmsjit::to_c(filled), "spec", spec);
}

}  // namespace

rmsjit_status rmsjit_spec_parse(const char* text, rmsjit_spec* spec, rmsjit_error* error) {
  return finish(spec_parse(text, spec), error);
}

rmsjit_status rmsjit_spec_text(const rmsjit_spec* spec, char* text, size_t capacity, size_t* length,
                               rmsjit_error* error) {
  return finish(spec_text(spec, text, capacity, length), error);
}

rmsjit_status rmsjit_keys_for_model(const char* config_json, const char* like,
                                    int32_t tensor_parallel, char** json, rmsjit_error* error) {
  return finish(keys_for_model(config_json, like, tensor_parallel, json), error);
}

rmsjit_status rmsjit_apply_profile(const char* like, const char* role, rmsjit_spec* spec,
                                   rmsjit_error* error) {
  return finish(apply_profile(like, role, spec), error);
}

void rmsjit_free(void* memory) { free(memory); }

const char* rmsjit_version(void) { return RMSJIT_VERSION; }
