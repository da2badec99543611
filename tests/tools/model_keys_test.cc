// SPDX-License-Identifier: Apache-2.0
// Model keys against key sets that were derived by hand from each model's published architecture.
#include "runtime/model_keys.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "rmsjit/spec_text.h"
#include "runtime/spec_json.h"

namespace rmsjit {
namespace {

using nlohmann::json;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string shipped(const std::string& name) {
  return read_file(std::filesystem::path(RMSJIT_MODEL_CONFIGS) / (name + ".json"));
}

// "input,final 1 hidden=..." for each key, so that a difference reads as text.
std::string described(const ModelKeys& keys) {
  std::string text;
  for (const ModelKey& key : keys.keys) {
    for (const std::string& role : key.roles) text += role + ",";
    text += " " + std::to_string(key.layers) + " " + spec_text(key.spec) + "\n";
  }
  return text;
}

std::string keys_of(const std::string& config, const std::string& like = "", int tp = 1,
                    const std::vector<SpecOverride>& overrides = {}) {
  Result<ModelKeys> keys = keys_for_model(config, like, tp, overrides);
  return keys.ok() ? described(*keys) : "error: " + keys.message();
}

TEST(ModelKeys, EveryShippedConfigGivesTheKeysDerivedByHand) {
  const json golden = json::parse(read_file(RMSJIT_MODEL_KEYS_GOLDEN));
  std::set<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(RMSJIT_MODEL_CONFIGS)) {
    files.insert(entry.path().stem().string());
  }
  EXPECT_EQ(files.size(), golden.size());
  for (const auto& [name, keys] : golden.items()) {
    std::string expected;
    for (const json& key : keys) {
      for (const json& role : key["roles"]) expected += role.get<std::string>() + ",";
      expected += " " + std::to_string(key["layers"].get<int>()) + " " +
                  key["spec_text"].get<std::string>() + "\n";
    }
    EXPECT_EQ(keys_of(shipped(name)), expected) << name;
  }
}

TEST(ModelKeys, ASizeThatIsNotInTheRepositoryFollowsItsFamily) {
  EXPECT_EQ(keys_of(R"({"model_type":"llama","hidden_size":16384,"num_hidden_layers":126,
                        "num_attention_heads":128,"torch_dtype":"bfloat16"})"),
            "input, 1 hidden=16384,x=bf16,pdl=auto\n"
            "input,post_attention,final, 126 hidden=16384,x=bf16,residual=add,pdl=auto\n");
  EXPECT_EQ(keys_of(R"({"architectures":["GemmaForCausalLM"],"hidden_size":3072,
                        "torch_dtype":"float16"})"),
            "input, 1 hidden=3072,x=f16,weight_form=one_plus,pdl=auto\n"
            "input,post_attention,final, 28 "
            "hidden=3072,x=f16,residual=add,weight_form=one_plus,pdl=auto\n");
}

constexpr const char* kOlmo2_32b =
    R"({"model_type":"olmo2","hidden_size":5120,"num_hidden_layers":64,
        "num_attention_heads":40,"num_key_value_heads":8,"dtype":"bfloat16"})";

TEST(ModelKeys, FullWidthQueryAndKeyNormsAreShardedOverTensorParallel) {
  EXPECT_EQ(keys_of(kOlmo2_32b),
            "post_attention,post_feedforward,final,query, 64 hidden=5120,x=bf16,pdl=auto\n"
            "key, 64 hidden=1024,x=bf16,pdl=auto\n");
  EXPECT_EQ(keys_of(kOlmo2_32b, "", 4),
            "post_attention,post_feedforward,final, 64 hidden=5120,x=bf16,pdl=auto\n"
            "query, 64 hidden=1280,x=bf16,pdl=auto\n"
            "key, 64 hidden=256,x=bf16,pdl=auto\n");
  const std::string minimax = shipped("minimax-m2.5");
  EXPECT_NE(keys_of(minimax, "", 16).find("query, 62 hidden=384,"), std::string::npos);
  EXPECT_NE(keys_of(minimax, "", 16).find("key, 62 hidden=128,"), std::string::npos);
}

TEST(ModelKeys, HeadsThatCannotBeShardedAreAnError) {
  EXPECT_EQ(keys_of(kOlmo2_32b, "", 3),
            "error: config field num_attention_heads=40 cannot be divided by tensor_parallel=3: "
            "give a divisor of it");
  EXPECT_EQ(keys_of(kOlmo2_32b, "", -1), "error: tensor_parallel=-1 is out of range: 1 .. 1024");
  EXPECT_EQ(keys_of(kOlmo2_32b, "", 0), keys_of(kOlmo2_32b, "", 1));
}

TEST(ModelKeys, HiddenWidthsAreNotSharded) {
  EXPECT_EQ(keys_of(shipped("deepseek-v3"), "", 8), keys_of(shipped("deepseek-v3")));
}

TEST(ModelKeys, LightningAttentionLayersComeFromTheList) {
  EXPECT_EQ(keys_of(R"({"architectures":["MiniMaxM1ForCausalLM"],"model_type":"minimax_m1",
                        "hidden_size":6144,"num_attention_heads":64,"head_dim":128,
                        "num_hidden_layers":8,"attn_type_list":[0,0,0,0,0,0,0,1]})"),
            "input,post_attention,final, 8 hidden=6144,x=bf16,pdl=auto\n"
            "linear_attention, 7 hidden=8192,x=bf16,pdl=auto\n");
}

TEST(ModelKeys, LayerTypesOverruleTheInterval) {
  const std::string keys = keys_of(
      R"({"model_type":"qwen3_next","hidden_size":512,"num_hidden_layers":3,
          "layer_types":["full_attention","linear_attention","full_attention"]})");
  EXPECT_NE(keys.find("query,key, 2 "), std::string::npos) << keys;
  EXPECT_NE(keys.find("linear_attention, 1 "), std::string::npos) << keys;
}

TEST(ModelKeys, TheLanguageModelOfANestedConfigIsRead) {
  const std::string nested = keys_of(
      R"({"architectures":["KimiK25ForConditionalGeneration"],"model_type":"kimi_k25",
          "dtype":"float16","vision_config":{"hidden_size":1152},
          "text_config":{"model_type":"kimi_k2","hidden_size":7168,"num_hidden_layers":61,
                         "q_lora_rank":1536,"kv_lora_rank":512}})");
  EXPECT_NE(nested.find("latent_q, 61 hidden=1536,x=f16"), std::string::npos) << nested;
  EXPECT_EQ(nested.find("1152"), std::string::npos);
}

TEST(ModelKeys, OmittedFieldsTakeTheFamilysDocumentedDefaults) {
  // DeepSeek-V3 without q_lora_rank has 1536; null says that there is none.
  const std::string base = R"({"model_type":"deepseek_v3","hidden_size":7168)";
  EXPECT_NE(keys_of(base + "}").find("latent_q, 61 hidden=1536"), std::string::npos);
  EXPECT_EQ(keys_of(base + R"(,"q_lora_rank":null})").find("latent_q"), std::string::npos);
  // GLM-4.5 Air: query and key norms only where asked for. Llama 4 Maverick switches them off.
  EXPECT_EQ(keys_of(R"({"model_type":"glm4_moe","hidden_size":4096})").find("query"),
            std::string::npos);
  EXPECT_EQ(keys_of(R"({"model_type":"llama4_text","hidden_size":5120,"use_qk_norm":false})")
                .find("query"),
            std::string::npos);
  // head_dim from the heads where neither config nor family names it.
  EXPECT_NE(keys_of(R"({"model_type":"qwen3_moe","hidden_size":2048,"num_attention_heads":16})")
                .find("query,key, 24 hidden=128,layout=heads"),
            std::string::npos);
}

TEST(ModelKeys, EachProfileGivesItsEnginesRoundingPlacementAndPdl) {
  const std::string llama = shipped("llama-3.1-8b");
  const auto fused = [&](const char* like) {
    const std::string keys = keys_of(llama, like);
    return keys.substr(keys.find("32 hidden"));
  };
  EXPECT_EQ(fused("rmsjit"), "32 hidden=4096,x=bf16,residual=add,pdl=auto\n");
  EXPECT_EQ(fused("flashinfer"),
            "32 hidden=4096,x=bf16,residual=add,y_placement=in_place,add_round=unrounded,"
            "pdl=auto\n");
  EXPECT_EQ(fused("vllm_cuda"), "32 hidden=4096,x=bf16,residual=add,y_placement=in_place\n");
  EXPECT_EQ(fused("vllm_native"),
            "32 hidden=4096,x=bf16,residual=add,residual_placement=out_of_place,"
            "add_round=unrounded,mul_round=twice\n");
  EXPECT_EQ(fused("sglang"),
            "32 hidden=4096,x=bf16,residual=add,y_placement=in_place,"
            "add_round=stats_unrounded\n");
  EXPECT_EQ(fused("hf_llama"),
            "32 hidden=4096,x=bf16,residual=add,residual_placement=out_of_place,"
            "mul_round=twice\n");
  EXPECT_EQ(fused("hf_gemma"),
            "32 hidden=4096,x=bf16,residual=add,residual_placement=out_of_place\n");
  // Plain norms: the add's fields stay away, FlashInfer writes to its own output.
  EXPECT_EQ(keys_of(llama, "flashinfer").find("input, 1 hidden=4096,x=bf16,pdl=auto\n"), 0u);
  EXPECT_NE(keys_of(shipped("qwen3-8b"), "sglang")
                .find("query,key, 36 hidden=128,layout=heads,x=bf16,y_placement=in_place,pdl=auto"),
            std::string::npos);
}

TEST(ModelKeys, UnknownProfilesAreNamedWithTheKnownOnes) {
  Result<ModelKeys> keys = keys_for_model(shipped("llama-3.1-8b"), "vllm", 1);
  ASSERT_FALSE(keys.ok());
  EXPECT_EQ(keys.code(), StatusCode::kNotFound);
  for (const std::string& name : profile_names()) {
    EXPECT_NE(keys.message().find(name), std::string::npos) << name;
  }
  EXPECT_EQ(profile_names().size(), 7u);
}

TEST(ModelKeys, OverridesApplyToEveryNormAndCanMakeKeysEqual) {
  EXPECT_EQ(keys_of(shipped("llama-3.2-1b"), "", 1, {{"x", "f16"}, {"residual", "none"}}),
            "input,post_attention,final, 16 hidden=2048,x=f16,pdl=auto\n");
  EXPECT_EQ(keys_of(shipped("llama-3.2-1b"), "flashinfer", 1, {{"y", "f32"}}),
            "error: norm input: y_placement=in_place needs y to have the dtype of x, given y=f32 "
            "and x=bf16: use y_placement=out_of_place or equal dtypes");
  EXPECT_NE(keys_of(shipped("llama-3.2-1b"), "", 1, {{"hidden", "5"}}).find("error: hidden"),
            std::string::npos);
  EXPECT_NE(keys_of(shipped("llama-3.2-1b"), "", 1, {{"colour", "red"}}).find("is not known"),
            std::string::npos);
}

TEST(ModelKeys, EveryKeyOfEveryProfileIsDistinctAndSurvivesTextAndJson) {
  for (const auto& entry : std::filesystem::directory_iterator(RMSJIT_MODEL_CONFIGS)) {
    for (const std::string& like : profile_names()) {
      Result<ModelKeys> keys = keys_for_model(read_file(entry.path()), like, 1);
      ASSERT_TRUE(keys.ok()) << entry.path() << " " << like << ": " << keys.message();
      std::set<std::string> texts;
      for (const ModelKey& key : keys->keys) {
        EXPECT_TRUE(texts.insert(spec_text(key.spec)).second) << spec_text(key.spec);
        Result<NormSpec> from_text = parse_spec(spec_text(key.spec));
        ASSERT_TRUE(from_text.ok()) << from_text.message();
        EXPECT_EQ(*from_text, key.spec);
        Result<NormSpec> from_json = spec_from_json(json(spec_to_json(key.spec)));
        ASSERT_TRUE(from_json.ok()) << from_json.message();
        EXPECT_EQ(*from_json, key.spec);
      }
    }
  }
}

TEST(ModelKeys, JsonHasEveryFieldExplicit) {
  Result<ModelKeys> keys = keys_for_model(shipped("llama-4-scout"), "vllm_cuda", 1);
  ASSERT_TRUE(keys.ok());
  const json root = json::parse(model_keys_json(*keys));
  EXPECT_EQ(root["schema_version"], 1);
  EXPECT_EQ(root["model"], "llama4");
  ASSERT_EQ(root["keys"].size(), 3u);
  EXPECT_EQ(root["keys"][2], json::parse(R"({
    "roles": ["query", "key"], "layers": 36,
    "spec": {"hidden": 128, "layout": "heads", "x": "bf16", "weight": "none", "y": "bf16",
             "residual": "none", "residual_dtype": "bf16", "weight_form": "plain",
             "y_placement": "out_of_place", "residual_placement": "in_place",
             "add_round": "rounded", "mul_round": "once", "root": "fast", "pdl": "off",
             "constant_weight": "off"},
    "spec_text": "hidden=128,layout=heads,x=bf16,weight=none"})"));
}

}  // namespace
}  // namespace rmsjit
