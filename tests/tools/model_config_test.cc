// SPDX-License-Identifier: Apache-2.0
// Configs that cannot be served: each gets one sentence with field, given value and what is
// allowed.
#include "runtime/model_config.h"

#include <gtest/gtest.h>

#include "runtime/model_keys.h"

namespace rmsjit {
namespace {

std::string error_of(const std::string& config) {
  Result<ModelKeys> keys = keys_for_model(config, "", 1);
  return keys.ok() ? "no error" : keys.message();
}

std::string llama(const std::string& fields) { return R"({"model_type":"llama",)" + fields + "}"; }

TEST(ModelConfig, TextThatIsNotAConfigSaysWhereItStops) {
  EXPECT_EQ(error_of(""), "config is empty: give the text of a Hugging Face config.json");
  EXPECT_EQ(error_of(" \n"), error_of(""));
  EXPECT_EQ(error_of("<!DOCTYPE html>"), "config is not JSON: byte 1: cannot read <");
  EXPECT_EQ(error_of(R"({"hidden_size": 4096)"),
            "config is not JSON: byte 21, after hidden_size: cannot read 4096");
  EXPECT_EQ(error_of("[4096]"), "config is a JSON array: a config.json is one object");
  EXPECT_EQ(error_of("4096"), "config is a JSON number: a config.json is one object");
}

TEST(ModelConfig, DeepNestingIsRefusedBeforeItIsParsed) {
  const std::string expected = "config nests 200000 levels deep: a config.json nests at most 64";
  std::string objects;
  for (int i = 0; i < 200000; ++i) objects += "{\"a\":";
  EXPECT_EQ(error_of(std::string(200000, '[')), expected);
  EXPECT_EQ(error_of(objects), expected);
  EXPECT_EQ(error_of(std::string(200000, '[') + std::string(200000, ']')), expected);
}

TEST(ModelConfig, BracketsInsideStringsAreNotNesting) {
  const std::string brackets = R"("\"[[)" + std::string(500, '[') + R"(\\")";
  EXPECT_EQ(error_of(llama(R"("hidden_size":64,"note":)" + brackets)), "no error");
}

TEST(ModelConfig, NumbersAreCheckedForTypeAndRange) {
  const auto hidden = [](const char* given) {
    return error_of(llama(std::string(R"("hidden_size":)") + given));
  };
  const std::string allowed = " is not allowed: give a whole number, 1 .. 262144";
  EXPECT_EQ(hidden("\"4096\""), "config field hidden_size=\"4096\"" + allowed);
  EXPECT_EQ(hidden("4096.5"), "config field hidden_size=4096.5" + allowed);
  EXPECT_EQ(hidden("0"), "config field hidden_size=0" + allowed);
  EXPECT_EQ(hidden("-1"), "config field hidden_size=-1" + allowed);
  EXPECT_EQ(hidden("262145"), "config field hidden_size=262145" + allowed);
  EXPECT_EQ(hidden("18446744073709551615"),
            "config field hidden_size=18446744073709551615" + allowed);
  EXPECT_EQ(hidden("[4096]"), "config field hidden_size=[4096]" + allowed);
  EXPECT_EQ(hidden("true"), "config field hidden_size=true" + allowed);
  EXPECT_EQ(hidden("1e400"),
            "config field hidden_size=1e400 is not allowed: give a number that fits 64 bits");
  EXPECT_EQ(hidden("262144"), "no error");
  EXPECT_EQ(
      error_of(llama(R"("hidden_size":64,"num_hidden_layers":1000000)")),
      "config field num_hidden_layers=1000000 is not allowed: give a whole number, 1 .. 4096");
}

TEST(ModelConfig, MissingFieldsAreNamedByTheirPath) {
  EXPECT_EQ(error_of(R"({"model_type":"llama"})"),
            "config has no hidden_size: give a whole number, 1 .. 262144");
  EXPECT_EQ(error_of(R"({"model_type":"gemma3","text_config":{"model_type":"gemma3_text"}})"),
            "config has no text_config.hidden_size: give a whole number, 1 .. 262144");
  EXPECT_EQ(error_of(R"({"text_config":7})"),
            "config field text_config=7 is not allowed: give an object");
}

TEST(ModelConfig, UnknownFamiliesSayWhatWasLookedAtAndTheWayOut) {
  Result<ModelKeys> keys = keys_for_model(
      R"({"model_type":"mamba2","architectures":["Mamba2ForCausalLM"],"hidden_size":64})", "", 1);
  ASSERT_FALSE(keys.ok());
  EXPECT_EQ(keys.code(), StatusCode::kNotFound);
  for (const char* part : {R"(model_type="mamba2")", R"(architectures=["Mamba2ForCausalLM"])",
                           "deepseek_v3", "--spec \"hidden=4096,residual=add\""}) {
    EXPECT_NE(keys.message().find(part), std::string::npos) << part << "\n" << keys.message();
  }
  EXPECT_NE(error_of(R"({"hidden_size":64})").find("model_type=(absent)"), std::string::npos);
}

TEST(ModelConfig, DtypesFlagsAndListsAreChecked) {
  EXPECT_EQ(error_of(llama(R"("hidden_size":64,"torch_dtype":"int8")")),
            "config field torch_dtype=\"int8\" is not allowed: give bfloat16, float16 or float32");
  EXPECT_EQ(error_of(R"({"model_type":"glm4_moe","hidden_size":64,"use_qk_norm":"yes"})"),
            "config field use_qk_norm=\"yes\" is not allowed: give true or false");
  const std::string next = R"({"model_type":"qwen3_next","hidden_size":64,"num_hidden_layers":4,)";
  EXPECT_EQ(error_of(next + R"("layer_types":["full_attention"]})"),
            "config field layer_types has 1 elements: give one for each of the 4 layers");
  EXPECT_EQ(
      error_of(next + R"("layer_types":"all"})"),
      "config field layer_types=\"all\" is not allowed: give a list with one element a layer");
  EXPECT_EQ(error_of(next + R"("layer_types":[1.5]})"),
            "config field layer_types=1.5 is not allowed: give the names of layer kinds");
}

TEST(ModelConfig, ControlBytesOfTheConfigDoNotReachTheMessage) {
  for (const char* fields : {"\"hidden_size\":\"\\u001b[31m\\u0007\"", "\"a\\bname\":256,!"}) {
    const std::string message = error_of(llama(fields));
    for (char c : message) EXPECT_GE(c, ' ') << message;
  }
}

}  // namespace
}  // namespace rmsjit
