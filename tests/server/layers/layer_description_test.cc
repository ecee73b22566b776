#include "server/layers/layer_description.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

TEST(ParseLayerDescriptionTest, ReadsTheLeastThatALayerMustSay) {
  const auto plain = ParseLayerDescription(R"({"format": "plain", "head_count": 12})");
  ASSERT_THAT(plain, IsOk());
  EXPECT_EQ(plain->format, LayerFormat::kPlain);
  EXPECT_EQ(plain->head_count, 12);
  EXPECT_EQ(plain->key_value_head_count, std::nullopt);
  EXPECT_EQ(plain->type, std::nullopt);
  EXPECT_EQ(plain->scale, std::nullopt);
  EXPECT_FALSE(plain->add_zero_attn);
  EXPECT_FALSE(plain->transposed);
  EXPECT_EQ(plain->StoredName("query.weight"), "query.weight");
  EXPECT_THAT(ParseLayerDescription(R"({"format": "keras"})"), IsOk());
}

TEST(ParseLayerDescriptionTest, ReadsEveryField) {
  const auto plain = ParseLayerDescription(R"({
      "format": "plain", "head_count": 8, "key_value_head_count": 2, "data_type": "BF16",
      "scale": 0.25, "transposed": true, "prefix": "model.",
      "names": {"query.weight": "q_proj.weight"}})");
  ASSERT_THAT(plain, IsOk());
  EXPECT_EQ(plain->key_value_head_count, 2);
  EXPECT_EQ(plain->type, kernels::DataType::kBF16);
  EXPECT_EQ(plain->scale, 0.25);
  EXPECT_TRUE(plain->transposed);
  EXPECT_EQ(plain->StoredName("query.weight"), "q_proj.weight");
  EXPECT_EQ(plain->StoredName("key.weight"), "model.key.weight");
  const auto pytorch =
      ParseLayerDescription(R"({"format": "pytorch", "head_count": 1, "add_zero_attn": true})");
  ASSERT_THAT(pytorch, IsOk());
  EXPECT_TRUE(pytorch->add_zero_attn);
}

TEST(ParseLayerDescriptionTest, KnowsEveryDataType) {
  const std::vector<std::pair<std::string, kernels::DataType>> types = {
      {"F32", kernels::DataType::kF32},
      {"F16", kernels::DataType::kF16},
      {"BF16", kernels::DataType::kBF16},
      {"F64", kernels::DataType::kF64}};
  for (const auto& [name, type] : types) {
    const auto layer =
        ParseLayerDescription(R"({"format": "keras", "data_type": ")" + name + "\"}");
    ASSERT_THAT(layer, IsOk());
    EXPECT_EQ(layer->type, type);
  }
}

TEST(ParseLayerDescriptionTest, RefusesWhatIsNoDescription) {
  const std::vector<std::pair<std::string, std::string>> refusals = {
      {"", "want JSON"},
      {"[]", "got no object"},
      {"{}", "format: got nothing"},
      {R"({"format": "keras", "format": "keras"})", "got 'format' twice"},
      {R"({"format": "torch", "head_count": 1})", "format: got something else"},
      {R"({"format": 1})", "format: got something else"},
      {R"({"format": "keras", "heads": 1})", "got the field 'heads'"},
      {R"({"format": "plain"})", "head_count: got nothing, want a number"},
      {R"({"format": "pytorch"})", "head_count: got nothing, want a number"},
      {R"({"format": "plain", "head_count": 0})", "head_count: got something else"},
      {R"({"format": "plain", "head_count": -1})", "head_count: got something else"},
      {R"({"format": "plain", "head_count": 1025})", "a whole number from 1 to 1024"},
      {R"({"format": "plain", "head_count": 2.0})", "head_count: got something else"},
      {R"({"format": "plain", "head_count": "2"})", "head_count: got something else"},
      {R"({"format": "plain", "head_count": 1, "key_value_head_count": 0})",
       "key_value_head_count: got something else"},
      {R"({"format": "plain", "head_count": 2, "key_value_head_count": 3})",
       "key_value_head_count: got 3, want a divisor of the 2 of head_count"},
      {R"({"format": "pytorch", "head_count": 2, "key_value_head_count": 2})",
       "key_value_head_count: got a value, want none with the format \"pytorch\""},
      {R"({"format": "keras", "data_type": "I64"})", "data_type: got something else"},
      {R"({"format": "keras", "scale": "1"})", "scale: got something else"},
      {R"({"format": "keras", "scale": 1e999})", "want"},
      {R"({"format": "keras", "add_zero_attn": true})",
       "add_zero_attn: got a value, want none with the format \"keras\""},
      {R"({"format": "pytorch", "head_count": 1, "add_zero_attn": 1})",
       "add_zero_attn: got something else, want true or false"},
      {R"({"format": "keras", "transposed": false})",
       "transposed: got a value, want none with the format \"keras\""},
      {R"({"format": "keras", "prefix": 1})", "prefix: got something else, want a text"},
      {R"({"format": "keras", "names": []})", "names: got something else, want an object"},
      {R"({"format": "keras", "names": {"query/kernel": 1}})",
       "names.query/kernel: got something else, want a text"},
  };
  for (const auto& [text, message] : refusals) {
    EXPECT_THAT(ParseLayerDescription(text),
                StatusIs(StatusCode::kInvalidArgument, HasSubstr(message)))
        << text;
  }
}

}  // namespace
}  // namespace attention::server
