#include "client/adapters/torch_multihead_attention.h"

#include <cmath>
#include <limits>
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

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// in_proj_weight of a module of width 2: rows q, k, v.
const std::vector<float> kInProjection = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
const std::vector<float> kInBias = {1, 2, 3, 4, 5, 6};
const std::vector<float> kOutProjection = {1, 2, 3, 4};
const std::vector<float> kOutBias = {7, 8};

TorchMultiheadParameters Parameters() {
  return {.num_heads = 2,
          .in_proj_weight = TensorRef(kInProjection, {6, 2}),
          .in_proj_bias = TensorRef(kInBias, {6}),
          .out_proj_weight = TensorRef(kOutProjection, {2, 2}),
          .out_proj_bias = TensorRef(kOutBias, {2})};
}

TorchMultiheadAttention Module(const TorchMultiheadParameters& parameters) {
  return TorchMultiheadAttention::Create(parameters).value();
}

std::string Error(const TorchMultiheadParameters& parameters) {
  return std::string(TorchMultiheadAttention::Create(parameters).status().message());
}

// Three positions of a batch of two, width 2; the numbers tell position, batch and column.
const std::vector<float> kEmbeddings = {0, 1, 10, 11, 100, 101, 110, 111, 200, 201, 210, 211};
TensorRef SequenceFirst() { return {kEmbeddings, {3, 2, 2}}; }

TorchMultiheadCall SelfCall() {
  return {.query = SequenceFirst(), .key = SequenceFirst(), .value = SequenceFirst()};
}

TensorValue Bools(Shape shape, std::vector<double> numbers) {
  return TensorValue::FromDoubles(DataType::kBool, std::move(shape), numbers).value();
}

TEST(TorchMultiheadAttentionTest, PackedProjectionsAreTakenApartAndTransposed) {
  const TorchMultiheadAttention module = Module(Parameters());
  const auto adapted = module.Request(SelfCall()).value();
  const Projections& projections = adapted.request.projections;
  EXPECT_THAT(ToDoubles(projections.query->weight), ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(ToDoubles(projections.key->weight), ElementsAre(5, 7, 6, 8));
  EXPECT_THAT(ToDoubles(projections.value->weight), ElementsAre(9, 11, 10, 12));
  EXPECT_THAT(ToDoubles(*projections.query->bias), ElementsAre(1, 2));
  EXPECT_THAT(ToDoubles(*projections.key->bias), ElementsAre(3, 4));
  EXPECT_THAT(ToDoubles(*projections.value->bias), ElementsAre(5, 6));
  EXPECT_THAT(ToDoubles(projections.output->weight), ElementsAre(1, 3, 2, 4));
  EXPECT_THAT(ToDoubles(*projections.output->bias), ElementsAre(7, 8));
  EXPECT_EQ(adapted.request.head_count, 2);
}

TEST(TorchMultiheadAttentionTest, SeparateProjectionsMayReadOtherWidths) {
  TorchMultiheadParameters parameters = Parameters();
  parameters.in_proj_weight.reset();
  parameters.in_proj_bias.reset();
  parameters.q_proj_weight = TensorRef(kOutProjection, {2, 2});
  parameters.k_proj_weight = TensorRef(kInBias, {2, 3});
  parameters.v_proj_weight = TensorRef(kOutBias, {2, 1});
  const TorchMultiheadAttention module = Module(parameters);
  const std::vector<float> key = {1, 2, 3};
  const std::vector<float> value = {4};
  const auto adapted = module
                           .Request({.query = TensorRef(kOutBias, {1, 2}),
                                     .key = TensorRef(key, {1, 3}),
                                     .value = TensorRef(value, {1, 1})})
                           .value();
  EXPECT_THAT(adapted.request.projections.key->weight.shape(), ElementsAre(3, 2));
  EXPECT_THAT(adapted.request.projections.value->weight.shape(), ElementsAre(1, 2));
  EXPECT_FALSE(adapted.request.projections.key->bias.has_value());
  EXPECT_THAT(adapted.request.key->shape(), ElementsAre(1, 3));
  EXPECT_THAT(adapted.request.value->shape(), ElementsAre(1, 1));
}

TEST(TorchMultiheadAttentionTest, SequenceFirstBecomesBatchFirst) {
  const TorchMultiheadAttention module = Module(Parameters());
  const auto adapted = module.Request(SelfCall()).value();
  EXPECT_THAT(adapted.request.query.shape(), ElementsAre(2, 3, 2));
  EXPECT_THAT(ToDoubles(adapted.request.query),
              ElementsAre(0, 1, 100, 101, 200, 201, 10, 11, 110, 111, 210, 211));
  EXPECT_FALSE(adapted.request.key || adapted.request.value) << "they are the query";
  TorchMultiheadParameters parameters = Parameters();
  parameters.batch_first = true;
  const auto same = Module(parameters).Request(SelfCall()).value();
  EXPECT_EQ(same.request.query.bytes().data(), SequenceFirst().bytes().data());
}

TEST(TorchMultiheadAttentionTest, BooleanMasksAreInverted) {
  const TorchMultiheadAttention module = Module(Parameters());
  const TensorValue hidden = Bools({3, 3}, {0, 1, 1, 0, 0, 1, 0, 0, 0});
  TorchMultiheadCall call = SelfCall();
  call.attn_mask = hidden.ref();
  const auto adapted = module.Request(call).value();
  EXPECT_THAT(adapted.request.options.boolean_mask->shape(), ElementsAre(3, 3));
  EXPECT_THAT(ToDoubles(*adapted.request.options.boolean_mask),
              ElementsAre(1, 0, 0, 1, 1, 0, 1, 1, 1));
  EXPECT_FALSE(adapted.request.options.additive_mask.has_value());
}

TEST(TorchMultiheadAttentionTest, MasksOfEachHeadGetTheirOwnAxis) {
  const TorchMultiheadAttention module = Module(Parameters());
  const std::vector<float> added(4 * 9, 0.5F);
  TorchMultiheadCall call = SelfCall();
  call.attn_mask = TensorRef(added, {4, 3, 3});
  const auto adapted = module.Request(call).value();
  EXPECT_THAT(adapted.request.options.additive_mask->shape(), ElementsAre(2, 2, 3, 3));
}

TEST(TorchMultiheadAttentionTest, MasksThatPyTorchRefusesAreNotBroadcast) {
  const TorchMultiheadAttention module = Module(Parameters());
  const std::vector<float> numbers(36, 0.5F);
  const auto refusal = [&](const TorchMultiheadCall& call) {
    const auto adapted = module.Request(call);
    EXPECT_EQ(adapted.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(adapted.status().message());
  };
  const auto tensor = [&](const Shape& shape) {
    return TensorRef(std::span(numbers).first(static_cast<size_t>(*ElementCount(shape))), shape);
  };
  for (const Shape& shape : {Shape{1, 3}, Shape{3, 1}, Shape{3}}) {
    TorchMultiheadCall call = SelfCall();
    call.attn_mask = tensor(shape);
    EXPECT_EQ(refusal(call), "attn_mask: got shape " + ToString(shape) + ", want [3, 3]");
  }
  for (const Shape& shape : {Shape{4, 1, 3}, Shape{2, 6, 3}, Shape{1, 3, 3}}) {
    TorchMultiheadCall call = SelfCall();
    call.attn_mask = tensor(shape);
    EXPECT_EQ(refusal(call), "attn_mask: got shape " + ToString(shape) + ", want [4, 3, 3]");
  }
  for (const Shape& shape : {Shape{1, 3}, Shape{2, 1}, Shape{3}}) {
    TorchMultiheadCall call = SelfCall();
    call.key_padding_mask = tensor(shape);
    EXPECT_EQ(refusal(call), "key_padding_mask: got shape " + ToString(shape) + ", want [2, 3]");
  }
}

TEST(TorchMultiheadAttentionTest, MasksOfOtherKeysAreAsLongAsThese) {
  TorchMultiheadParameters parameters = Parameters();
  parameters.batch_first = true;
  const TorchMultiheadAttention module = Module(parameters);
  const std::vector<float> numbers(8, 0.5F);
  TorchMultiheadCall call = {.query = TensorRef(kOutBias, {1, 2}),
                             .key = TensorRef(numbers, {4, 2}),
                             .value = TensorRef(numbers, {4, 2})};
  call.attn_mask = TensorRef(std::span(numbers).first(4), {1, 4});
  call.key_padding_mask = TensorRef(std::span(numbers).first(4), {4});
  EXPECT_TRUE(module.Request(call).ok());
  call.key_padding_mask = TensorRef(std::span(numbers).first(1), {1});
  EXPECT_THAT(std::string(module.Request(call).status().message()),
              HasSubstr("key_padding_mask: got shape [1], want [4]"));
}

TEST(TorchMultiheadAttentionTest, TwoBooleanMasksNeedNoProduct) {
  const TorchMultiheadAttention module = Module(Parameters());
  const TensorValue hidden = Bools({3, 3}, std::vector<double>(9, 0));
  const TensorValue padding = Bools({2, 3}, {0, 0, 1, 0, 1, 1});
  TorchMultiheadCall call = SelfCall();
  call.attn_mask = hidden.ref();
  call.key_padding_mask = padding.ref();
  const auto adapted = module.Request(call).value();
  const AttentionOptions& options = adapted.request.options;
  EXPECT_THAT(options.boolean_mask->shape(), ElementsAre(3, 3));
  EXPECT_THAT(options.additive_mask->shape(), ElementsAre(2, 1, 1, 3));
  EXPECT_THAT(ToDoubles(*options.additive_mask),
              ElementsAre(0, 0, -kInfinity, 0, -kInfinity, -kInfinity));
}

TEST(TorchMultiheadAttentionTest, APaddingMaskAloneIsBooleanAndBesideAFloatMaskToo) {
  const TorchMultiheadAttention module = Module(Parameters());
  const TensorValue padding = Bools({2, 3}, {0, 0, 1, 0, 1, 1});
  const std::vector<float> added(9, 0.5F);
  TorchMultiheadCall call = SelfCall();
  call.key_padding_mask = padding.ref();
  const auto alone = module.Request(call).value();
  EXPECT_THAT(alone.request.options.boolean_mask->shape(), ElementsAre(2, 1, 1, 3));
  EXPECT_THAT(ToDoubles(*alone.request.options.boolean_mask), ElementsAre(1, 1, 0, 1, 0, 0));
  call.attn_mask = TensorRef(added, {3, 3});
  const auto beside = module.Request(call).value();
  EXPECT_TRUE(beside.request.options.boolean_mask.has_value());
  EXPECT_THAT(beside.request.options.additive_mask->shape(), ElementsAre(3, 3));
}

TEST(TorchMultiheadAttentionTest, TwoFloatMasksAreAdded) {
  const TorchMultiheadAttention module = Module(Parameters());
  const std::vector<float> added = {1, 2, 3, 4, 5, 6, 7, 8, 9};
  const std::vector<float> padding = {0, 0, -kInfinity, 10, 20, 30};
  TorchMultiheadCall call = SelfCall();
  call.attn_mask = TensorRef(added, {3, 3});
  call.key_padding_mask = TensorRef(padding, {2, 3});
  const auto adapted = module.Request(call).value();
  EXPECT_THAT(adapted.request.options.additive_mask->shape(), ElementsAre(2, 1, 3, 3));
  EXPECT_THAT(ToDoubles(*adapted.request.options.additive_mask),
              ElementsAre(1, 2, -kInfinity, 4, 5, -kInfinity, 7, 8, -kInfinity,  //
                          11, 22, 33, 14, 25, 36, 17, 28, 39));
}

TEST(TorchMultiheadAttentionTest, OnlyWithWeightsIsAFullyMaskedQueryNaN) {
  const TorchMultiheadAttention module = Module(Parameters());
  TorchMultiheadCall call = SelfCall();
  const auto policy = [&] { return module.Request(call).value().request.options.fully_masked; };
  EXPECT_EQ(policy(), FullyMaskedPolicy::kZeros) << "nothing is masked";
  const TensorValue hidden = Bools({3, 3}, std::vector<double>(9, 1));
  call.attn_mask = hidden.ref();
  EXPECT_EQ(policy(), FullyMaskedPolicy::kNan);
  call.need_weights = false;
  EXPECT_EQ(policy(), FullyMaskedPolicy::kZeros);
}

TEST(TorchMultiheadAttentionTest, TheCausalHintIsTakenWherePyTorchTakesIt) {
  const TorchMultiheadAttention module = Module(Parameters());
  const TensorValue hidden = Bools({3, 3}, {0, 1, 1, 0, 0, 1, 0, 0, 0});
  TorchMultiheadCall call = SelfCall();
  call.is_causal = true;
  EXPECT_THAT(std::string(module.Request(call).status().message()), HasSubstr("is_causal"));
  call.attn_mask = hidden.ref();
  const auto with_weights = module.Request(call).value();
  EXPECT_FALSE(with_weights.request.options.causal.has_value());
  EXPECT_TRUE(with_weights.request.options.boolean_mask.has_value());
  call.need_weights = false;
  const auto hinted = module.Request(call).value();
  EXPECT_EQ(hinted.request.options.causal->alignment, Causal::Alignment::kTopLeft);
  EXPECT_FALSE(hinted.request.options.boolean_mask.has_value());
  const TensorValue padding = Bools({2, 3}, std::vector<double>(6, 0));
  call.key_padding_mask = padding.ref();
  EXPECT_FALSE(module.Request(call).value().request.options.causal.has_value());
}

TEST(TorchMultiheadAttentionTest, AZeroKeyIsASinkWithAColumnOfTheWeights) {
  TorchMultiheadParameters parameters = Parameters();
  parameters.add_zero_attn = true;
  const TorchMultiheadAttention module = Module(parameters);
  TorchMultiheadCall call = {.query = TensorRef(kOutBias, {1, 2}),
                             .key = TensorRef(kOutBias, {1, 2}),
                             .value = TensorRef(kOutBias, {1, 2}),
                             .average_attn_weights = false};
  const auto adapted = module.Request(call).value();
  EXPECT_THAT(ToDoubles(*adapted.request.options.sinks), ElementsAre(0, 0));
  EXPECT_TRUE(adapted.request.options.return_log_sum_exp);

  // One query and one key, whose scores are ln 3 and 0: weights of 3/4 and 1/2 beside the zero key.
  AttentionResult answer;
  answer.output =
      TensorValue::FromDoubles(DataType::kF64, {1, 2}, std::vector<double>{1, 2}).value();
  answer.weights =
      TensorValue::FromDoubles(DataType::kF64, {2, 1, 1}, std::vector<double>{0.75, 0.5}).value();
  answer.log_sum_exp = TensorValue::FromDoubles(DataType::kF64, {2, 1},
                                                std::vector<double>{std::log(4), std::log(2)})
                           .value();
  const auto each = module.Result(call, answer).value();
  EXPECT_THAT(each.weights->shape(), ElementsAre(2, 1, 2));
  EXPECT_THAT(each.weights->ToDoubles(),
              ElementsAre(0.75, ::testing::DoubleEq(0.25), 0.5, ::testing::DoubleEq(0.5)));
  call.average_attn_weights = true;
  const auto mean = module.Result(call, answer).value();
  EXPECT_THAT(mean.weights->shape(), ElementsAre(1, 2));
  EXPECT_THAT(mean.weights->ToDoubles(), ElementsAre(0.625, ::testing::DoubleEq(0.375)));
  answer.log_sum_exp =
      TensorValue::FromDoubles(DataType::kF64, {1}, std::vector<double>{1}).value();
  EXPECT_EQ(module.Result(call, answer).status().code(), absl::StatusCode::kInternal);
}

TEST(TorchMultiheadAttentionTest, AnAppendedKeyWidensMasksToLetItThrough) {
  TorchMultiheadParameters parameters = Parameters();
  parameters.bias_k = TensorRef(kOutBias, {1, 1, 2});
  EXPECT_THAT(Error(parameters), HasSubstr("bias_k and bias_v"));
  const std::vector<float> appended_value = {9, 10};
  parameters.bias_v = TensorRef(appended_value, {1, 1, 2});
  const TorchMultiheadAttention module = Module(parameters);
  const TensorValue hidden = Bools({3, 3}, {0, 1, 1, 0, 0, 1, 0, 0, 0});
  const std::vector<float> padding = {0, 0, -kInfinity, 10, 20, 30};
  TorchMultiheadCall call = SelfCall();
  call.attn_mask = hidden.ref();
  call.key_padding_mask = TensorRef(padding, {2, 3});
  const auto adapted = module.Request(call).value();
  EXPECT_THAT(adapted.request.projections.appended_key->shape(), ElementsAre(2));
  EXPECT_THAT(ToDoubles(*adapted.request.projections.appended_key), ElementsAre(7, 8));
  EXPECT_THAT(ToDoubles(*adapted.request.projections.appended_value), ElementsAre(9, 10));
  EXPECT_THAT(ToDoubles(*adapted.request.options.boolean_mask),
              ElementsAre(1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 1, 1));
  EXPECT_THAT(adapted.request.options.additive_mask->shape(), ElementsAre(2, 1, 1, 4));
  EXPECT_THAT(ToDoubles(*adapted.request.options.additive_mask),
              ElementsAre(0, 0, -kInfinity, 0, 10, 20, 30, 0));
  call.key_padding_mask.reset();
  call.is_causal = true;
  call.need_weights = false;
  EXPECT_FALSE(module.Request(call).value().request.options.causal.has_value())
      << "the hint would hide the appended key";
}

TEST(TorchMultiheadAttentionTest, TheAnswerComesBackAsPyTorchReturnsIt) {
  FakeService service;
  AttentionClient client(MakeChannel(service.address()));
  v1::AttentionResponse response;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(output { shape: [2, 3, 1] floats: [1, 2, 3, 4, 5, 6] }
         weights { shape: [2, 2, 3, 1] floats: [1, 2, 3, 5, 6, 7, 0, 0, 0, 2, 4, 6] })",
      &response));
  service.AnswerWith(response);
  const TorchMultiheadAttention module = Module(Parameters());
  const auto result = module.Forward(SelfCall(), &client);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.shape(), ElementsAre(3, 2, 1));
  EXPECT_THAT(result->output.ToDoubles(), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(result->weights->shape(), ElementsAre(2, 3, 1));
  EXPECT_THAT(result->weights->ToDoubles(), ElementsAre(3, 4, 5, 1, 2, 3)) << "means over heads";
  EXPECT_EQ(service.last_method(), "MultiHeadAttention");
  const auto request = service.last_request<v1::MultiHeadAttentionRequest>();
  EXPECT_TRUE(request.options().return_weights());
  EXPECT_THAT(request.projections().value().weight().shape(), ElementsAre(2, 2));
}

TEST(TorchMultiheadAttentionTest, ArgumentsThatNoMaskCanBeMadeForAreRefused) {
  const TorchMultiheadAttention module = Module(Parameters());
  const TensorValue hidden = Bools({3, 3}, std::vector<double>(9, 0));
  const std::vector<uint8_t> bytes = {0, 0, 0, 2, 0, 0};
  TorchMultiheadCall call = SelfCall();
  call.attn_mask = hidden.ref();
  call.key_padding_mask = TensorRef(DataType::kBool, {2, 3}, std::as_bytes(std::span(bytes)));
  EXPECT_EQ(module.Request(call).status(),
            absl::InvalidArgumentError("key_padding_mask: element 3 of a BOOL is 2, want 0 or 1"));
  const std::vector<int32_t> whole(12);
  call.query = TensorRef(whole, {3, 2, 2});
  EXPECT_EQ(module.Request(call).status(),
            absl::InvalidArgumentError("query: got INT32, want a floating point type"));
}

TEST(TorchMultiheadAttentionTest, ParametersThatContradictEachOtherAreNamed) {
  TorchMultiheadParameters parameters = Parameters();
  parameters.num_heads = 0;
  EXPECT_THAT(Error(parameters), HasSubstr("num_heads: got 0"));
  parameters.num_heads = 3;
  EXPECT_EQ(Error(parameters), "num_heads: got 3, want a divisor of 2, the extent of out_proj");
  parameters = Parameters();
  parameters.in_proj_weight = TensorRef(kInProjection, {2, 6});
  EXPECT_THAT(Error(parameters), HasSubstr("in_proj_weight: got shape [2, 6], want [6, 2]"));
  parameters.in_proj_weight.reset();
  EXPECT_THAT(Error(parameters), HasSubstr("want either in_proj_weight or q_proj_weight"));
  parameters.q_proj_weight = TensorRef(kOutProjection, {2, 2});
  EXPECT_THAT(Error(parameters), HasSubstr("want either"));
  parameters = Parameters();
  parameters.in_proj_bias = TensorRef(kInBias, {2, 3});
  EXPECT_THAT(Error(parameters), HasSubstr("in_proj_bias: got shape [2, 3], want [6]"));
  parameters = Parameters();
  parameters.out_proj_bias = TensorRef(kInBias, {6});
  EXPECT_THAT(Error(parameters), HasSubstr("out_proj_bias: got shape [6], want [2]"));
}

}  // namespace
}  // namespace attention::client
