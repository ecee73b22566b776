#include "server/layers/layer_checks.h"

#include <functional>
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

TEST(CheckShapeTest, ComparesRankAndExtentsThatMatter) {
  const StoredTensor tensor = {.name = "a", .shape = {2, 3}};
  EXPECT_THAT(CheckShape(tensor, {2, 3}), IsOk());
  EXPECT_THAT(CheckShape(tensor, {kAnyExtent, 3}), IsOk());
  EXPECT_THAT(
      CheckShape(tensor, {kAnyExtent, 2}),
      StatusIs(StatusCode::kInvalidArgument, "tensor 'a': got the shape [2, 3], want [any, 2]"));
  EXPECT_FALSE(CheckShape(tensor, {2, 3, 1}).ok());
  EXPECT_FALSE(CheckShape(tensor, {2}).ok());
}

TEST(TypeOfLayerTest, IsWhatAllTensorsHaveUnlessAnotherIsAskedFor) {
  StoredTensors tensors = {{"a", {.type = kernels::DataType::kF16}},
                           {"b", {.type = kernels::DataType::kF16}}};
  EXPECT_EQ(*TypeOfLayer(std::nullopt, tensors), kernels::DataType::kF16);
  tensors["b"].type = kernels::DataType::kF64;
  EXPECT_THAT(TypeOfLayer(std::nullopt, tensors),
              StatusIs(StatusCode::kInvalidArgument, HasSubstr("tensor 'b': got F64, want F16")));
  EXPECT_EQ(*TypeOfLayer(kernels::DataType::kBF16, tensors), kernels::DataType::kBF16);
}

// 4 heads and 2 key-value heads, queries and keys of width 3, values of width 5.
LayerContents Fitting() {
  LayerContents contents;
  contents.head_count = 4;
  contents.key_value_head_count = 2;
  contents.query = {.input_width = 7, .output_width = 12};
  contents.key = {.input_width = 8, .output_width = 6};
  contents.value = {.input_width = 9, .output_width = 10};
  contents.output = {.input_width = 20, .output_width = 7};
  return contents;
}

TEST(CheckLayerTest, TakesMapsThatFitTogether) {
  EXPECT_THAT(CheckLayer(Fitting()), IsOk());
  LayerContents contents = Fitting();
  contents.query.reset();
  contents.value.reset();
  EXPECT_THAT(CheckLayer(contents), IsOk());
}

TEST(CheckLayerTest, RefusesMapsThatDoNot) {
  const std::vector<std::pair<std::string, std::function<void(LayerContents&)>>> refusals = {
      {"got 2048 and 2 heads, want <= 1024", [](auto& layer) { layer.head_count = 2048; }},
      {"got 3 key-value heads, want a divisor of the 4 heads",
       [](auto& layer) { layer.key_value_head_count = 3; }},
      {"output: got the width 18, want a multiple of 4 heads",
       [](auto& layer) {
         layer.value.reset();
         layer.output->input_width = 18;
       }},
      {"output: got heads of width 1025, want <= 1024",
       [](auto& layer) {
         layer.value.reset();
         layer.output->input_width = 4100;
       }},
      {"query: got the width 13, want a multiple of 4 heads",
       [](auto& layer) { layer.query->output_width = 13; }},
      {"key: got heads of width 4, want 3 as those of the queries",
       [](auto& layer) { layer.key->output_width = 8; }},
      {"output: got the width 20, want 24 = heads * value width",
       [](auto& layer) { layer.value->output_width = 12; }},
      {"value: got heads of width 1025, want <= 1024",
       [](auto& layer) { layer.value->output_width = 2050; }},
      {"key: got the widths 65537 and 6, want <= 65536",
       [](auto& layer) { layer.key->input_width = 65537; }},
      {"output: got the widths 20 and 65537, want <= 65536",
       [](auto& layer) { layer.output->output_width = 65537; }},
  };
  for (const auto& [message, change] : refusals) {
    LayerContents contents = Fitting();
    change(contents);
    EXPECT_THAT(CheckLayer(contents), StatusIs(StatusCode::kInvalidArgument, message));
  }
}

}  // namespace
}  // namespace attention::server
