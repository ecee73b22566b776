#include "client/adapters/keras_multi_head_attention.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<float> kNumbers = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

TensorRef Numbers(Shape shape) {
  const int64_t count = ElementCount(shape).value();
  return {std::span(kNumbers).first(static_cast<size_t>(count)), std::move(shape)};
}

// Four query heads over two key and value heads, as in GroupQueryAttention; width 1, key_dim 3.
KerasMultiHeadAttention Grouped() {
  return {.query = {.kernel = Numbers({1, 4, 3}), .bias = Numbers({4, 3})},
          .key = {.kernel = Numbers({1, 2, 3}), .bias = {}},
          .value = {.kernel = Numbers({1, 2, 3}), .bias = {}},
          .output = {.kernel = Numbers({4, 3, 1}), .bias = Numbers({1})}};
}

// Two queries over three keys.
KerasMultiHeadCall Call() { return {.query = Numbers({1, 2, 1}), .value = Numbers({1, 3, 1})}; }

TensorValue Bools(Shape shape, std::vector<double> numbers) {
  return TensorValue::FromDoubles(DataType::kBool, std::move(shape), numbers).value();
}

TEST(KerasMultiHeadAttentionTest, KernelsLieFlatAndBringTheHeadCounts) {
  const KerasMultiHeadAttention layer = Grouped();
  const auto adapted = KerasRequest(layer, Call()).value();
  const MultiHeadAttentionRequest& request = adapted.request;
  EXPECT_EQ(request.head_count, 4);
  EXPECT_EQ(request.key_value_head_count, 2);
  EXPECT_THAT(request.projections.query->weight.shape(), ElementsAre(1, 12));
  EXPECT_THAT(request.projections.query->bias->shape(), ElementsAre(12));
  EXPECT_THAT(request.projections.key->weight.shape(), ElementsAre(1, 6));
  EXPECT_FALSE(request.projections.value->bias.has_value());
  EXPECT_THAT(request.projections.output->weight.shape(), ElementsAre(12, 1));
  EXPECT_THAT(request.projections.output->bias->shape(), ElementsAre(1));
  EXPECT_EQ(request.projections.query->weight.bytes().data(), layer.query.kernel.bytes().data())
      << "nothing is copied";
  EXPECT_FALSE(request.options.scale.has_value());
  EXPECT_EQ(request.options.fully_masked, FullyMaskedPolicy::kZeros) << "nothing is masked";
}

TEST(KerasMultiHeadAttentionTest, AnAbsentKeyIsTheValue) {
  const auto plain = KerasRequest(Grouped(), Call()).value();
  EXPECT_THAT(plain.request.key->shape(), ElementsAre(1, 3, 1));
  EXPECT_FALSE(plain.request.value.has_value()) << "absent, it is the key";
  KerasMultiHeadCall call = Call();
  const std::vector<float> key = {7, 8, 9};
  call.key = TensorRef(key, {1, 3, 1});
  const auto both = KerasRequest(Grouped(), call).value();
  EXPECT_THAT(ToDoubles(*both.request.key), ElementsAre(7, 8, 9));
  EXPECT_THAT(ToDoubles(*both.request.value), ElementsAre(1, 2, 3));
}

TEST(KerasMultiHeadAttentionTest, AllMasksAreAnded) {
  KerasMultiHeadCall call = Call();
  const TensorValue value_mask = Bools({1, 3}, {1, 1, 0});
  const TensorValue key_mask = Bools({1, 3}, {0, 1, 1});
  call.value_mask = value_mask.ref();
  call.key_mask = key_mask.ref();
  const auto keys = KerasRequest(Grouped(), call).value();
  EXPECT_THAT(keys.request.options.boolean_mask->shape(), ElementsAre(1, 1, 1, 3));
  EXPECT_THAT(ToDoubles(*keys.request.options.boolean_mask), ElementsAre(0, 1, 0));
  EXPECT_EQ(keys.request.options.fully_masked, FullyMaskedPolicy::kUniform);
  const TensorValue query_mask = Bools({1, 2}, {1, 0});
  const TensorValue attention_mask = Bools({1, 2, 3}, {1, 0, 1, 1, 1, 1});
  call.key_mask.reset();
  call.query_mask = query_mask.ref();
  call.attention_mask = attention_mask.ref();
  const auto all = KerasRequest(Grouped(), call).value();
  EXPECT_THAT(all.request.options.boolean_mask->shape(), ElementsAre(1, 1, 2, 3));
  EXPECT_THAT(ToDoubles(*all.request.options.boolean_mask), ElementsAre(1, 0, 0, 0, 0, 0));
  call.return_attention_scores = true;
  EXPECT_EQ(KerasRequest(Grouped(), call).value().request.options.fully_masked,
            FullyMaskedPolicy::kZeros);
}

TEST(KerasMultiHeadAttentionTest, CausalityAndWindowsStandTopLeft) {
  KerasMultiHeadAttention layer = Grouped();
  KerasMultiHeadCall call = Call();
  call.use_causal_mask = true;
  const auto causal = KerasRequest(layer, call).value();
  EXPECT_EQ(causal.request.options.causal->alignment, Causal::Alignment::kTopLeft);
  call.use_causal_mask = false;
  layer.sliding_window = 2;
  layer.fully_masked = FullyMaskedPolicy::kZeros;
  const auto window = KerasRequest(layer, call).value();
  EXPECT_EQ(window.request.options.window->left, 1);
  EXPECT_EQ(window.request.options.window->right, 1);
  EXPECT_EQ(window.request.options.query_positions->alignment, Causal::Alignment::kTopLeft);
  EXPECT_EQ(window.request.options.fully_masked, FullyMaskedPolicy::kZeros) << "as chosen";
}

TEST(KerasMultiHeadAttentionTest, TheAnswerKeepsTheScoresOfEachHead) {
  FakeService service;
  AttentionClient client(MakeChannel(service.address()));
  v1::AttentionResponse response;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(output { shape: [1, 2, 1] floats: [1, 2] }
         weights { shape: [1, 4, 2, 3] floats: [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6,
                                                 1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6] })",
      &response));
  service.AnswerWith(response);
  KerasMultiHeadCall call = Call();
  call.return_attention_scores = true;
  const auto result = CallKeras(Grouped(), call, &client);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.ToDoubles(), ElementsAre(1, 2));
  EXPECT_THAT(result->attention_scores->shape(), ElementsAre(1, 4, 2, 3));
  EXPECT_EQ(service.last_method(), "MultiHeadAttention");
  EXPECT_EQ(service.last_request<v1::MultiHeadAttentionRequest>().key_value_head_count(), 2);
}

TEST(KerasMultiHeadAttentionTest, ArgumentsThatCannotBeRightAreNamed) {
  KerasMultiHeadAttention layer = Grouped();
  layer.key.kernel = Numbers({2, 3});
  EXPECT_THAT(std::string(KerasRequest(layer, Call()).status().message()),
              HasSubstr("key.kernel: got shape [2, 3]"));
  layer = Grouped();
  layer.sliding_window = 0;
  EXPECT_THAT(std::string(KerasRequest(layer, Call()).status().message()),
              HasSubstr("sliding_window: got 0"));
  KerasMultiHeadCall call = Call();
  const TensorValue mask = Bools({2, 3}, std::vector<double>(6, 1));
  call.attention_mask = mask.ref();
  EXPECT_THAT(std::string(KerasRequest(Grouped(), call).status().message()),
              HasSubstr("attention_mask: got shape [2, 3], want [1, 2, 3]"));
}

TEST(KerasMultiHeadAttentionTest, MasksOfOtherBytesThanZeroAndOneAreRefused) {
  KerasMultiHeadCall call = Call();
  const TensorValue good = Bools({1, 3}, {1, 1, 0});
  const std::vector<uint8_t> bytes = {1, 0, 7};
  call.value_mask = good.ref();
  call.key_mask = TensorRef(DataType::kBool, {1, 3}, std::as_bytes(std::span(bytes)));
  EXPECT_EQ(KerasRequest(Grouped(), call).status(),
            absl::InvalidArgumentError("key_mask: element 2 of a BOOL is 7, want 0 or 1"));
}

TEST(KerasMultiHeadAttentionTest, KernelsThatContradictEachOtherAreRefused) {
  const auto error = [](const KerasMultiHeadAttention& layer) {
    return std::string(KerasRequest(layer, Call()).status().message());
  };
  KerasMultiHeadAttention layer = Grouped();
  layer.key.kernel = Numbers({1, 2, 2});
  EXPECT_EQ(error(layer), "key.kernel.shape[2]: got 2, want 3, as in query.kernel");
  layer = Grouped();
  layer.value.kernel = Numbers({1, 3, 2});
  EXPECT_EQ(error(layer), "value.kernel.shape[1]: got 3, want 2, as in key.kernel");
  layer = Grouped();
  layer.output.kernel = Numbers({3, 3, 1});
  EXPECT_EQ(error(layer), "output.kernel.shape[0]: got 3, want 4, the heads of query.kernel");
  layer = Grouped();
  layer.output.kernel = Numbers({4, 2, 1});
  EXPECT_EQ(error(layer), "output.kernel.shape[1]: got 2, want 3, the width of value.kernel");
  layer = Grouped();
  layer.query.bias = TensorRef(kNumbers, {-1, 3});
  EXPECT_EQ(error(layer), "query.bias: got shape [-1, 3], want [4, 3]");
  layer = Grouped();
  layer.output.bias = Numbers({4});
  EXPECT_EQ(error(layer), "output.bias: got shape [4], want [1]");
}

}  // namespace
}  // namespace attention::client
