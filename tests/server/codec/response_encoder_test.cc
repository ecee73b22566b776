#include "server/codec/response_encoder.h"

#include <grpcpp/support/slice.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/wire_message.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

template <typename Element>
Buffer Holding(const std::vector<Element>& elements) {
  Buffer buffer(elements.size() * sizeof(Element));
  if (!elements.empty()) std::memcpy(buffer.data(), elements.data(), buffer.byte_count());
  return buffer;
}

v1::Execution SomeExecution() {
  v1::Execution execution;
  execution.set_implementation("fused-avx512");
  execution.set_precision("f32");
  execution.set_thread_count(3);
  execution.set_queue_ns(1'000'000'000'000);
  execution.set_compute_ns(5);
  execution.set_total_ns(7);
  execution.set_request_id("0123456789abcdef");
  return execution;
}

v1::AttentionResponse ParseBack(const grpc::ByteBuffer& bytes) {
  v1::AttentionResponse response;
  EXPECT_THAT(ParseWireMessage(bytes, response), test::IsOk());
  return response;
}

struct Answer {
  AttentionTask task;
  ResponseForm form;
  AttentionResult result;
};

// Output [2, 3]; weights and scores [1, 2, 2] if asked for.
Answer SomeAnswer(bool weights, bool scores) {
  Answer answer;
  answer.task.return_weights = weights;
  if (scores) answer.task.options.scores = kernels::ScoresOutput::kRaw;
  answer.form.output_shape = {2, 3};
  answer.form.matrix_shape = {1, 2, 2};
  answer.result.output = Holding<float>({1, 2, 3, 4, 5, 6});
  if (weights) answer.result.weights = Holding<float>({0.25F, 0.75F, 1, 0});
  if (scores) answer.result.scores = Holding<float>({-1, -2, -3, -4});
  return answer;
}

v1::Tensor RawTensor(const std::vector<int64_t>& shape, const std::vector<float>& elements) {
  v1::Tensor tensor;
  tensor.set_data_type(v1::DATA_TYPE_F32);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  tensor.set_raw(elements.data(), elements.size() * sizeof(float));
  return tensor;
}

TEST(EncodeResponseTest, ParsesBackToTheSameMessage) {
  for (const bool weights : {false, true}) {
    for (const bool scores : {false, true}) {
      Answer answer = SomeAnswer(weights, scores);
      v1::AttentionResponse want;
      *want.mutable_output() = RawTensor({2, 3}, {1, 2, 3, 4, 5, 6});
      if (weights) *want.mutable_weights() = RawTensor({1, 2, 2}, {0.25F, 0.75F, 1, 0});
      if (scores) *want.mutable_scores() = RawTensor({1, 2, 2}, {-1, -2, -3, -4});
      *want.mutable_execution() = SomeExecution();
      const v1::AttentionResponse got = ParseBack(
          EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
      EXPECT_EQ(got.SerializeAsString(), want.SerializeAsString());
    }
  }
}

TEST(EncodeResponseTest, WritesPresentKeysAndValuesIfAsked) {
  for (const bool present : {false, true}) {
    Answer answer = SomeAnswer(true, true);
    answer.task.return_present = present;
    answer.form.present_key_shape = {1, 3, 1};
    answer.form.present_value_shape = {1, 3, 2};
    answer.result.present_key = Holding<float>({7, 8, 9});
    answer.result.present_value = Holding<float>({1, 2, 3, 4, 5, 6});
    const v1::AttentionResponse got = ParseBack(
        EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
    EXPECT_EQ(got.has_present_key(), present);
    EXPECT_EQ(got.has_present_value(), present);
    if (!present) continue;
    EXPECT_EQ(got.present_key().SerializeAsString(),
              RawTensor({1, 3, 1}, {7, 8, 9}).SerializeAsString());
    EXPECT_EQ(got.present_value().SerializeAsString(),
              RawTensor({1, 3, 2}, {1, 2, 3, 4, 5, 6}).SerializeAsString());
  }
}

// Statistics of the type for scores [batch?, 1, 2, 2], with the top weight of each query.
template <typename Number>
Answer SomeStatistics(kernels::DataType type, std::vector<int64_t> matrix_shape) {
  Answer answer;
  answer.task.type = type;
  answer.task.statistics = {.log_sum_exp = true,
                            .entropy = true,
                            .maximum_weight = true,
                            .key_mass = true,
                            .top_weight_count = 1};
  answer.form.output_shape = {0};
  answer.form.matrix_shape = std::move(matrix_shape);
  answer.result.log_sum_exp = Holding<Number>({1, 2});
  answer.result.entropy = Holding<Number>({3, 4});
  answer.result.maximum_weight = Holding<Number>({5, 6});
  answer.result.key_mass = Holding<Number>({7, 8});
  answer.result.top_weights = Holding<Number>({9, 10});
  answer.result.top_keys = Holding<int32_t>({-1, 12});
  return answer;
}

template <typename Number>
v1::Tensor TensorOf(const std::vector<int64_t>& shape, const std::vector<Number>& elements,
                    v1::DataType type) {
  v1::Tensor tensor;
  tensor.set_data_type(type);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  tensor.set_raw(elements.data(), elements.size() * sizeof(Number));
  return tensor;
}

template <typename Number>
void ExpectStatistics(kernels::DataType type, v1::DataType wire_type) {
  for (const bool batch : {false, true}) {
    const auto shape = [batch](std::vector<int64_t> extents) {
      if (batch) extents.insert(extents.begin(), 1);
      return extents;
    };
    Answer answer = SomeStatistics<Number>(type, shape({1, 2, 2}));
    v1::AttentionResponse want;
    want.mutable_output()->set_data_type(type == kernels::DataType::kBF16 ? v1::DATA_TYPE_BF16
                                                                          : wire_type);
    want.mutable_output()->add_shape(0);
    *want.mutable_execution() = SomeExecution();
    *want.mutable_log_sum_exp() = TensorOf<Number>(shape({1, 2}), {1, 2}, wire_type);
    *want.mutable_top_weights() = TensorOf<Number>(shape({1, 2, 1}), {9, 10}, wire_type);
    *want.mutable_top_keys() = TensorOf<int32_t>(shape({1, 2, 1}), {-1, 12}, v1::DATA_TYPE_INT32);
    *want.mutable_entropy() = TensorOf<Number>(shape({1, 2}), {3, 4}, wire_type);
    *want.mutable_key_mass() = TensorOf<Number>(shape({1, 2}), {7, 8}, wire_type);
    *want.mutable_maximum_weight() = TensorOf<Number>(shape({1, 2}), {5, 6}, wire_type);
    const v1::AttentionResponse got = ParseBack(
        EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
    EXPECT_EQ(got.SerializeAsString(), want.SerializeAsString());
  }
}

TEST(EncodeResponseTest, WritesStatisticsInF32UnlessTheTaskIsInF64) {
  ExpectStatistics<float>(kernels::DataType::kF32, v1::DATA_TYPE_F32);
  ExpectStatistics<float>(kernels::DataType::kBF16, v1::DATA_TYPE_F32);
  ExpectStatistics<double>(kernels::DataType::kF64, v1::DATA_TYPE_F64);
}

TEST(EncodeResponseTest, GivesKeyMassTheKeysAndOtherStatisticsTheQueries) {
  Answer answer = SomeStatistics<float>(kernels::DataType::kF32, {5, 2, 3, 7});
  const v1::AttentionResponse got = ParseBack(
      EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
  EXPECT_THAT(got.key_mass().shape(), ElementsAre(5, 2, 7));
  EXPECT_THAT(got.entropy().shape(), ElementsAre(5, 2, 3));
  EXPECT_THAT(got.top_keys().shape(), ElementsAre(5, 2, 3, 1));
}

TEST(EncodeResponseTest, WritesStatisticsAsFloatsForThoseWhoSentFloats) {
  Answer answer = SomeStatistics<double>(kernels::DataType::kF64, {1, 2, 2});
  answer.task.sends_floats = true;
  const v1::AttentionResponse got = ParseBack(
      EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
  EXPECT_EQ(got.top_keys().data_type(), v1::DATA_TYPE_INT32);
  EXPECT_THAT(got.top_keys().floats(), ElementsAre(-1, 12));
  EXPECT_THAT(got.top_weights().floats(), ElementsAre(9, 10));
  EXPECT_THAT(got.log_sum_exp().raw(), IsEmpty());
}

TEST(EncodeResponseTest, AnswersWithTurnedRows) {
  DecodedRotaryEmbedding decoded;
  decoded.task.input.type = kernels::DataType::kF32;
  decoded.response_form.output_shape = {1, 1, 1, 2};
  AttentionResult result;
  result.output = Holding<float>({5, 6});
  v1::ApplyRotaryEmbeddingResponse want;
  *want.mutable_output() = RawTensor({1, 1, 1, 2}, {5, 6});
  *want.mutable_execution() = SomeExecution();
  v1::ApplyRotaryEmbeddingResponse got;
  const DecodedCall call = std::move(decoded);
  ASSERT_THAT(ParseWireMessage(EncodeResponse(std::move(result), call, SomeExecution()), got),
              test::IsOk());
  EXPECT_EQ(got.SerializeAsString(), want.SerializeAsString());
}

TEST(EncodeResponseTest, AnswersWithMergedStates) {
  DecodedMerge decoded;
  decoded.task.states.resize(1);
  decoded.response_form.output_shape = {1, 2, 3};
  AttentionResult result;
  result.output = Holding<float>({1, 2, 3, 4, 5, 6});
  result.log_sum_exp = Holding<float>({-1, -2});
  v1::MergeAttentionStatesResponse want;
  *want.mutable_output() = RawTensor({1, 2, 3}, {1, 2, 3, 4, 5, 6});
  *want.mutable_log_sum_exp() = RawTensor({1, 2}, {-1, -2});
  *want.mutable_execution() = SomeExecution();
  v1::MergeAttentionStatesResponse got;
  const DecodedCall call = std::move(decoded);
  ASSERT_THAT(ParseWireMessage(EncodeResponse(std::move(result), call, SomeExecution()), got),
              test::IsOk());
  EXPECT_EQ(got.SerializeAsString(), want.SerializeAsString());
}

TEST(EncodeResponseTest, HandsTheElementsOverWithoutACopy) {
  for (const bool floats : {false, true}) {
    Answer answer = SomeAnswer(true, false);
    answer.task.sends_floats = floats;
    const void* const output = answer.result.output.data();
    const void* const weights = answer.result.weights.data();
    const grpc::ByteBuffer bytes =
        EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution());
    std::vector<grpc::Slice> slices;
    ASSERT_TRUE(bytes.Dump(&slices).ok());
    std::vector<const void*> addresses;
    for (const grpc::Slice& slice : slices) addresses.push_back(slice.begin());
    EXPECT_THAT(addresses, testing::IsSupersetOf({output, weights}));
  }
}

TEST(EncodeResponseTest, EncodesArraysBeyondOneByteOfLength) {
  Answer answer;
  const std::vector<float> elements(1'000'000, 1.25F);
  answer.form.output_shape = {1000, 1000};
  answer.result.output = Holding(elements);
  const v1::AttentionResponse got = ParseBack(
      EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
  EXPECT_EQ(got.output().raw(), RawTensor({1}, elements).raw());
}

TEST(EncodeResponseTest, SaysNothingAboutElementsWhereThereAreNone) {
  for (const bool floats : {false, true}) {
    Answer answer;
    answer.form.output_shape = {0, 3};
    answer.task.sends_floats = floats;
    const v1::AttentionResponse got = ParseBack(
        EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
    EXPECT_THAT(got.output().shape(), ElementsAre(0, 3));
    EXPECT_THAT(got.output().raw(), IsEmpty());
    EXPECT_THAT(got.output().floats(), IsEmpty());
  }
}

TEST(EncodeResponseTest, WritesFloatsForThoseWhoSentFloats) {
  Answer answer = SomeAnswer(true, true);
  answer.task.sends_floats = true;
  const v1::AttentionResponse got = ParseBack(
      EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
  EXPECT_THAT(got.output().raw(), IsEmpty());
  EXPECT_THAT(got.output().floats(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(got.weights().floats(), ElementsAre(0.25F, 0.75F, 1, 0));
  EXPECT_THAT(got.scores().floats(), ElementsAre(-1, -2, -3, -4));
}

TEST(EncodeResponseTest, NamesTheTypeOfTheTask) {
  Answer answer;
  answer.task.type = kernels::DataType::kF64;
  answer.form.output_shape = {2};
  answer.result.output = Holding<double>({0.1, -0.5});
  const v1::AttentionResponse got = ParseBack(
      EncodeResponse(std::move(answer.result), answer.task, answer.form, SomeExecution()));
  EXPECT_EQ(got.output().data_type(), v1::DATA_TYPE_F64);
  ASSERT_EQ(got.output().raw().size(), 16U);
  double elements[2];
  std::memcpy(elements, got.output().raw().data(), 16);
  EXPECT_THAT(elements, ElementsAre(0.1, -0.5));
}

}  // namespace
}  // namespace attention::server
