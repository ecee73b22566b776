#include "server/layers/layer_weights.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/layers/layer_files.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using test::BytesOf;
using test::IsOk;
using test::NamedTensor;
using test::SafetensorsOf;
using test::StatusIs;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

absl::StatusOr<LayerContents> Read(const std::string& description,
                                   const std::vector<NamedTensor>& tensors) {
  const std::string file = SafetensorsOf(tensors);
  const auto parsed = ParseLayerDescription(description);
  if (!parsed.ok()) return parsed.status();
  const auto stored = ParseSafetensors(BytesOf(file));
  if (!stored.ok()) return stored.status();
  return ReadLayerWeights(*parsed, *stored);  // refers to the file no more
}

std::vector<float> Weight(const std::optional<LinearMap>& map) {
  const auto* const first = static_cast<const float*>(map->weight);
  return {first, first + map->input_width * map->output_width};
}

std::vector<float> Bias(const std::optional<LinearMap>& map) {
  const auto* const first = static_cast<const float*>(map->bias);
  return {first, first + map->output_width};
}

std::vector<float> Row(const void* row, int64_t count) {
  const auto* const first = static_cast<const float*>(row);
  return {first, first + count};
}

constexpr char kPyTorch[] = R"({"format": "pytorch", "head_count": 2})";

// Two heads of width 1.
std::vector<NamedTensor> PackedPyTorch() {
  return {{"in_proj_weight", {6, 2}},
          {"in_proj_bias", {6}},
          {"out_proj.weight", {2, 2}},
          {"out_proj.bias", {2}}};
}

TEST(ReadLayerWeightsTest, TurnsPyTorchsPackedWeights) {
  const auto layer = Read(kPyTorch, PackedPyTorch());
  ASSERT_THAT(layer, IsOk());
  EXPECT_EQ(layer->format, "pytorch");
  EXPECT_EQ(layer->type, kernels::DataType::kF32);
  EXPECT_EQ(layer->head_count, 2);
  EXPECT_EQ(layer->key_value_head_count, 2);
  // The file's rows are 0 1, 2 3 (queries), 4 5, 6 7 (keys), 8 9, 10 11 (values).
  EXPECT_THAT(Weight(layer->query), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(Weight(layer->key), ElementsAre(4, 6, 5, 7));
  EXPECT_THAT(Weight(layer->value), ElementsAre(8, 10, 9, 11));
  EXPECT_THAT(Weight(layer->output), ElementsAre(0, 2, 1, 3));
  EXPECT_THAT(Bias(layer->query), ElementsAre(0, 1));
  EXPECT_THAT(Bias(layer->key), ElementsAre(2, 3));
  EXPECT_THAT(Bias(layer->value), ElementsAre(4, 5));
  EXPECT_THAT(Bias(layer->output), ElementsAre(0, 1));
  EXPECT_EQ(layer->appended_key, nullptr);
  EXPECT_THAT(layer->sinks, IsEmpty());
}

TEST(ReadLayerWeightsTest, ReadsPyTorchsSeparateWeightsOfOtherWidths) {
  const auto layer = Read(kPyTorch, {{"q_proj_weight", {2, 2}},
                                     {"k_proj_weight", {2, 3}},
                                     {"v_proj_weight", {2, 1}},
                                     {"out_proj.weight", {2, 2}}});
  ASSERT_THAT(layer, IsOk());
  EXPECT_EQ(layer->key->input_width, 3);
  EXPECT_EQ(layer->key->output_width, 2);
  EXPECT_THAT(Weight(layer->key), ElementsAre(0, 3, 1, 4, 2, 5));
  EXPECT_EQ(layer->value->input_width, 1);
  EXPECT_EQ(layer->query->bias, nullptr);
  EXPECT_EQ(layer->output->bias, nullptr);
}

TEST(ReadLayerWeightsTest, ReadsWhatPyTorchAppends) {
  std::vector<NamedTensor> tensors = PackedPyTorch();
  tensors.push_back({"bias_k", {1, 1, 2}, "F32", test::Numbers(2, 7)});
  tensors.push_back({"bias_v", {1, 1, 2}, "F32", test::Numbers(2, 9)});
  const auto layer =
      Read(R"({"format": "pytorch", "head_count": 2, "add_zero_attn": true})", tensors);
  ASSERT_THAT(layer, IsOk());
  EXPECT_THAT(Row(layer->appended_key, 2), ElementsAre(7, 8));
  EXPECT_THAT(Row(layer->appended_value, 2), ElementsAre(9, 10));
  EXPECT_THAT(layer->sinks, ElementsAre(0, 0));
}

// 4 query heads and 2 key-value heads of widths 3, values of width 1.
std::vector<NamedTensor> Keras(const std::string& prefix = "") {
  return {{prefix + "query/kernel", {2, 4, 3}},
          {prefix + "query/bias", {4, 3}},
          {prefix + "key/kernel", {2, 2, 3}},
          {prefix + "key/bias", {2, 3}},
          {prefix + "value/kernel", {2, 2, 1}},
          {prefix + "value/bias", {2, 1}},
          {prefix + "attention_output/kernel", {4, 1, 5}},
          {prefix + "attention_output/bias", {5}}};
}

TEST(ReadLayerWeightsTest, ReadsKerasKernelsAsTheyLie) {
  const auto layer = Read(R"({"format": "keras"})", Keras());
  ASSERT_THAT(layer, IsOk());
  EXPECT_EQ(layer->head_count, 4);
  EXPECT_EQ(layer->key_value_head_count, 2);
  EXPECT_EQ(layer->query->input_width, 2);
  EXPECT_EQ(layer->query->output_width, 12);
  EXPECT_EQ(Weight(layer->query)[13], 13);
  EXPECT_EQ(Bias(layer->query).back(), 11);
  EXPECT_EQ(layer->value->output_width, 2);
  EXPECT_EQ(layer->output->input_width, 4);
  EXPECT_EQ(layer->output->output_width, 5);
  EXPECT_EQ(Weight(layer->output)[19], 19);
}

TEST(ReadLayerWeightsTest, TakesAPrefixAndOtherNames) {
  std::vector<NamedTensor> tensors = Keras("layer_1/");
  tensors[0].name = "q";
  EXPECT_THAT(
      Read(R"({"format": "keras", "prefix": "layer_1/", "names": {"query/kernel": "q"}})", tensors),
      IsOk());
}

TEST(ReadLayerWeightsTest, ReadsPlainMapsOfWhichSomeMayBeAbsent) {
  const auto layer = Read(R"({"format": "plain", "head_count": 2, "scale": 1.5})",
                          {{"key.weight", {3, 4}}, {"key.bias", {4}}, {"output.weight", {6, 1}}});
  ASSERT_THAT(layer, IsOk());
  EXPECT_FALSE(layer->query.has_value());
  EXPECT_FALSE(layer->value.has_value());
  EXPECT_EQ(layer->key->input_width, 3);
  EXPECT_EQ(Weight(layer->key)[5], 5);
  EXPECT_EQ(layer->output->input_width, 6);
  EXPECT_EQ(layer->scale, 1.5);
  EXPECT_EQ(layer->key_value_head_count, 2);
}

TEST(ReadLayerWeightsTest, TurnsPlainWeightsOfLinearLayers) {
  const auto layer = Read(R"({"format": "plain", "head_count": 1, "transposed": true})",
                          {{"query.weight", {2, 3}}, {"query.bias", {2}}});
  ASSERT_THAT(layer, IsOk());
  EXPECT_EQ(layer->query->input_width, 3);
  EXPECT_EQ(layer->query->output_width, 2);
  EXPECT_THAT(Weight(layer->query), ElementsAre(0, 3, 1, 4, 2, 5));
}

TEST(ReadLayerWeightsTest, RoundsToTheTypeAskedFor) {
  const auto mixed = Read(R"({"format": "plain", "head_count": 1, "data_type": "F64"})",
                          {{"query.weight", {1, 2}},
                           {"key.weight", {1, 2}, "F16", std::string("\x00\x3c\x00\xc0", 4)}});
  ASSERT_THAT(mixed, IsOk());
  EXPECT_EQ(mixed->type, kernels::DataType::kF64);
  const auto* const key = static_cast<const double*>(mixed->key->weight);
  EXPECT_EQ(key[0], 1);
  EXPECT_EQ(key[1], -2);
}

TEST(ReadLayerWeightsTest, RefusesWhatIsNoLayerOfItsFormat) {
  const std::string plain = R"({"format": "plain", "head_count": 2})";
  std::vector<NamedTensor> one_appended = PackedPyTorch();
  one_appended.push_back({"bias_k", {1, 1, 2}});
  std::vector<NamedTensor> both_forms = PackedPyTorch();
  both_forms.push_back({"q_proj_weight", {2, 2}});
  std::vector<NamedTensor> wrong_packed = PackedPyTorch();
  wrong_packed[0].shape = {5, 2};
  std::vector<NamedTensor> no_output = PackedPyTorch();
  no_output.erase(no_output.begin() + 2);
  std::vector<NamedTensor> gated = Keras();
  gated.push_back({"gate/kernel", {2, 4, 1}});
  std::vector<NamedTensor> other_heads = Keras();
  other_heads[4].shape = {2, 1, 1};
  std::vector<NamedTensor> other_bias = Keras();
  other_bias[1].shape = {3, 4};
  const struct {
    std::string description;
    std::vector<NamedTensor> tensors;
    std::string message;
  } refusals[] = {
      {plain, {}, "got no tensors"},
      {plain, {{"query.wieght", {2, 2}}}, "tensor 'query.wieght': got one that a layer of the"},
      {plain, {{"query.bias", {2}}}, "tensor 'query.bias': got one that"},
      {plain, {{"query.weight", {2, 2, 1}}}, "got the shape [2, 2, 1], want [any, any]"},
      {plain, {{"query.weight", {3, 2}}, {"query.bias", {3}}}, "got the shape [3], want [2]"},
      {plain, {{"query.weight", {2, 3}}}, "query: got the width 3, want a multiple of 2 heads"},
      {plain, {{"query.weight", {1, 4}}, {"key.weight", {1, 6}}}, "key: got heads of width 3"},
      {plain,
       {{"value.weight", {1, 4}}, {"output.weight", {3, 1}}},
       "output: got the width 3, want 4 = heads * value width"},
      {plain, {{"query.weight", {1, 2052}}}, "got heads of width 1026, want <= 1024"},
      {plain, {{"output.weight", {65537, 1}}}, "want <= 65536"},
      {R"({"format": "pytorch", "head_count": 1, "prefix": "enc."})",
       {{"enc.in_proj_weight", {5, 2}}},
       "tensor 'enc.in_proj_weight': got the shape [5, 2], want [6, 2]"},
      {R"({"format": "plain", "head_count": 3})",
       {{"output.weight", {8, 5}}},
       "output: got the width 8, want a multiple of 3 heads"},
      {R"({"format": "plain", "head_count": 2, "names": {"query.wieght": "a"}})",
       {{"a", {2, 2}}},
       "names in layer.json: got 'query.wieght'"},
      {plain,
       {{"query.weight", {1, 2}}, {"key.weight", {1, 2}, "F16", "1234"}},
       "got F32, want F16 as in 'key.weight' or a data_type in layer.json"},
      {R"({"format": "plain", "head_count": 1, "data_type": "F16"})",
       {{"query.weight", {1, 1}, "F32", test::Numbers(1, 65520)}},
       "tensor 'query.weight': got a finite number beyond"},
      {kPyTorch, one_appended, "got one of bias_k and bias_v"},
      {kPyTorch, both_forms, "tensor 'q_proj_weight': got one that"},
      {kPyTorch, wrong_packed, "tensor 'in_proj_weight': got the shape [5, 2], want [6, 2]"},
      {kPyTorch, no_output, "got no tensor 'out_proj.weight', want one"},
      {kPyTorch, {{"out_proj.weight", {2, 2}}}, "got no tensor 'q_proj_weight', want one"},
      {R"({"format": "keras"})", gated, "tensor 'gate/kernel': got one that"},
      {R"({"format": "keras"})", other_heads, "tensor 'value/kernel': got the shape [2, 1, 1]"},
      {R"({"format": "keras"})", other_bias, "tensor 'query/bias': got the shape [3, 4]"},
      {R"({"format": "keras", "head_count": 3})", Keras(), "want [any, 3, any]"},
  };
  for (const auto& refusal : refusals) {
    EXPECT_THAT(Read(refusal.description, refusal.tensors),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(refusal.message)));
  }
}

}  // namespace
}  // namespace attention::server
