#include "client/adapters/keras_attention.h"

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

const std::vector<float> kNumbers = {1, 2, 3, 4, 5, 6, 7, 8};

KerasAttentionCall Call() {
  return {.query = TensorRef(std::span(kNumbers).first(4), {1, 2, 2}),
          .value = TensorRef(std::span(kNumbers).last(4), {1, 2, 2})};
}

TensorValue Bools(Shape shape, std::vector<double> numbers) {
  return TensorValue::FromDoubles(DataType::kBool, std::move(shape), numbers).value();
}

TEST(KerasAttentionTest, TheDotProductIsNotScaledByTheWidth) {
  const auto plain = KerasRequest(KerasAttention{}, Call()).value();
  EXPECT_EQ(plain.request.options.scale, 1.0);
  EXPECT_EQ(plain.request.layout, Layout::kPacked);
  EXPECT_EQ(plain.request.head_count, 1);
  EXPECT_EQ(plain.request.key.bytes().data(), plain.request.value.bytes().data());
  EXPECT_EQ(plain.request.options.fully_masked, FullyMaskedPolicy::kZeros) << "nothing is masked";
  const auto scaled = KerasRequest(KerasAttention{.scale = 0.25}, Call()).value();
  EXPECT_EQ(scaled.request.options.scale, 0.25);
}

TEST(KerasAttentionTest, ConcatIsTheAdditiveScoreOfScaledIdentities) {
  const auto adapted = KerasRequest(KerasAttention{.score_mode = KerasAttention::ScoreMode::kConcat,
                                                   .scale = 0.5,
                                                   .concat_score_weight = 3},
                                    Call())
                           .value();
  const auto& score = std::get<AdditiveScore>(adapted.request.options.score);
  EXPECT_THAT(ToDoubles(score.query_weight), ElementsAre(0.5, 0, 0, 0.5));
  EXPECT_THAT(ToDoubles(score.key_weight), ElementsAre(0.5, 0, 0, 0.5));
  EXPECT_THAT(ToDoubles(score.vector), ElementsAre(3, 3));
  EXPECT_FALSE(adapted.request.options.scale.has_value());
}

TEST(KerasAttentionTest, AdditiveAttentionWeighsEachNumber) {
  const std::vector<float> scale = {2, -1};
  const auto scaled =
      KerasRequest(KerasAdditiveAttention{.scale = TensorRef(scale, {2})}, Call()).value();
  const auto& score = std::get<AdditiveScore>(scaled.request.options.score);
  EXPECT_THAT(ToDoubles(score.query_weight), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(ToDoubles(score.vector), ElementsAre(2, -1));
  const auto plain = KerasRequest(KerasAdditiveAttention{}, Call()).value();
  EXPECT_THAT(ToDoubles(std::get<AdditiveScore>(plain.request.options.score).vector),
              ElementsAre(1, 1));
  const auto wrong =
      KerasRequest(KerasAdditiveAttention{.scale = TensorRef(kNumbers, {8})}, Call());
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("scale: got shape [8], want [2]"));
}

TEST(KerasAttentionTest, ValueMasksAndCausalityHideAndLeaveUniformRows) {
  KerasAttentionCall call = Call();
  const TensorValue mask = Bools({1, 2}, {1, 0});
  call.value_mask = mask.ref();
  call.use_causal_mask = true;
  const auto adapted = KerasRequest(KerasAttention{}, call).value();
  const AttentionOptions& options = adapted.request.options;
  EXPECT_THAT(options.boolean_mask->shape(), ElementsAre(1, 1, 1, 2));
  EXPECT_EQ(options.causal->alignment, Causal::Alignment::kTopLeft);
  EXPECT_EQ(options.fully_masked, FullyMaskedPolicy::kUniform);
}

TEST(KerasAttentionTest, QueryMasksZeroRowsOfTheAnswer) {
  FakeService service;
  AttentionClient client(MakeChannel(service.address()));
  v1::AttentionResponse response;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(output { shape: [1, 2, 2] floats: [1, 2, 3, 4] }
         weights { shape: [1, 1, 2, 2] floats: [0.5, 0.5, 1, 0] })",
      &response));
  service.AnswerWith(response);
  KerasAttentionCall call = Call();
  const TensorValue mask = Bools({1, 2}, {0, 1});
  call.query_mask = mask.ref();
  call.return_attention_scores = true;
  const auto result = CallKeras(KerasAttention{}, call, &client);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.ToDoubles(), ElementsAre(0, 0, 3, 4));
  EXPECT_THAT(result->attention_scores->shape(), ElementsAre(1, 2, 2));
  EXPECT_EQ(service.last_method(), "ScaledDotProductAttention");
  const auto request = service.last_request<v1::ScaledDotProductAttentionRequest>();
  EXPECT_EQ(request.layout(), v1::LAYOUT_PACKED);
  EXPECT_TRUE(request.options().return_weights());
  EXPECT_FALSE(request.options().has_boolean_mask()) << "query masks do not hide keys";
}

TEST(KerasAttentionTest, WeightsOfMoreHeadsThanOneAreAWrongAnswer) {
  KerasAttentionCall call = Call();
  call.return_attention_scores = true;
  AttentionResult answer;
  answer.weights =
      TensorValue::FromDoubles(DataType::kF32, {1, 2, 1, 1}, std::vector<double>{0.5, 0.5}).value();
  const auto result = KerasResult(call, answer);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("[1, 2, 1, 1]"));
}

TEST(KerasAttentionTest, ArgumentsThatCannotBeRightAreNamed) {
  const auto error = [](const KerasAttentionCall& call) {
    return std::string(KerasRequest(KerasAttention{}, call).status().message());
  };
  KerasAttentionCall call = Call();
  call.query = TensorRef(kNumbers, {4, 2});
  EXPECT_THAT(error(call), HasSubstr("query: got shape [4, 2]"));
  call = Call();
  const TensorValue mask = Bools({2}, {1, 1});
  call.value_mask = mask.ref();
  EXPECT_THAT(error(call), HasSubstr("value_mask: got shape [2], want [1, 2]"));
  call.value_mask.reset();
  call.query_mask = TensorRef(std::span(kNumbers).first(2), {1, 2});
  EXPECT_THAT(error(call), HasSubstr("query_mask: got F32, want BOOL"));
}

TEST(KerasAttentionTest, TensorsThatNoScoreCanBeMadeForAreRefused) {
  const auto error = [](const KerasAttentionCall& call) {
    const auto adapted = KerasRequest(KerasAdditiveAttention{}, call);
    EXPECT_EQ(adapted.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(adapted.status().message());
  };
  KerasAttentionCall call = Call();
  const std::vector<int32_t> whole = {1, 2, 3, 4};
  call.query = TensorRef(whole, {1, 2, 2});
  EXPECT_THAT(error(call), HasSubstr("query: got INT32, want a floating point type"));
  const std::vector<float> numbers(48);
  call.query = TensorRef(numbers, {2, 3, -8});
  EXPECT_THAT(error(call), HasSubstr("query: shape [2, 3, -8] has a negative extent"));
  call.query = TensorRef(numbers, {2, 3, 1'000'000});
  EXPECT_THAT(error(call), HasSubstr("query: shape [2, 3, 1000000] has 6000000 elements"));
  call.query = TensorRef(std::vector<float>(), {2, 0, 1'000'000});
  EXPECT_THAT(error(call), HasSubstr("query: got width 1000000, want <= 1024"));
}

}  // namespace
}  // namespace attention::client
