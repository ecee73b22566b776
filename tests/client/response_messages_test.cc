// Answers; requests are in messages_test.cc.

#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "client/messages.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ResponseMessagesTest, AnAnswerIsReadWhole) {
  v1::AttentionResponse response;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"(output { data_type: DATA_TYPE_F32 shape: [1, 2] raw: "\000\000\200\077\000\000\000\100" }
         weights { data_type: DATA_TYPE_F64 shape: [2] floats: [3, 4] }
         execution { implementation: "fused" precision: "f32" thread_count: 2
                     queue_ns: 1 compute_ns: 2 total_ns: 3
                     request_id: "id" })",
      &response));
  const AttentionResult result = FromMessage(std::move(response)).value();
  EXPECT_THAT(result.output.As<float>().value(), ElementsAre(1, 2));
  EXPECT_THAT(result.weights->As<double>().value(), ElementsAre(3, 4));
  EXPECT_FALSE(result.scores.has_value());
  EXPECT_EQ(result.execution.implementation, "fused");
  EXPECT_EQ(result.execution.precision, "f32");
  EXPECT_EQ(result.execution.thread_count, 2);
  EXPECT_EQ(result.execution.total_ns, 3);
  EXPECT_EQ(result.execution.request_id, "id");
}

// Sets every tensor of a message to a vector whose one number is that of its field.
void NumberTensors(google::protobuf::Message* message) {
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const google::protobuf::FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (field->message_type() != v1::Tensor::descriptor()) continue;
    auto* tensor =
        static_cast<v1::Tensor*>(message->GetReflection()->MutableMessage(message, field));
    tensor->add_shape(1);
    tensor->add_floats(static_cast<float>(field->number()));
  }
}

TEST(ResponseMessagesTest, EveryTensorOfAnAnswerHasItsPlace) {
  v1::AttentionResponse response;
  NumberTensors(&response);
  const AttentionResult result = FromMessage(std::move(response)).value();
  const std::pair<std::optional<TensorValue>, int> places[] = {
      {result.output, v1::AttentionResponse::kOutputFieldNumber},
      {result.weights, v1::AttentionResponse::kWeightsFieldNumber},
      {result.scores, v1::AttentionResponse::kScoresFieldNumber},
      {result.log_sum_exp, v1::AttentionResponse::kLogSumExpFieldNumber},
      {result.top_weights, v1::AttentionResponse::kTopWeightsFieldNumber},
      {result.top_keys, v1::AttentionResponse::kTopKeysFieldNumber},
      {result.entropy, v1::AttentionResponse::kEntropyFieldNumber},
      {result.key_mass, v1::AttentionResponse::kKeyMassFieldNumber},
      {result.maximum_weight, v1::AttentionResponse::kMaximumWeightFieldNumber},
      {result.present_key, v1::AttentionResponse::kPresentKeyFieldNumber},
      {result.present_value, v1::AttentionResponse::kPresentValueFieldNumber},
  };
  for (const auto& [tensor, number] : places) {
    ASSERT_TRUE(tensor.has_value()) << number;
    EXPECT_THAT(tensor->As<float>().value(), ElementsAre(number));
  }
  // The execution is the one field that is no tensor.
  EXPECT_EQ(v1::AttentionResponse::descriptor()->field_count(),
            static_cast<int>(std::size(places)) + 1);
}

TEST(ResponseMessagesTest, TheOtherAnswersAreReadWhole) {
  v1::ApplyRotaryEmbeddingResponse rotary;
  EXPECT_EQ(FromMessage(rotary).status().code(), absl::StatusCode::kInternal);
  NumberTensors(&rotary);
  rotary.mutable_execution()->set_thread_count(3);
  const RotaryEmbeddingResult turned = FromMessage(rotary).value();
  EXPECT_THAT(turned.output.As<float>().value(), ElementsAre(1));
  EXPECT_EQ(turned.execution.thread_count, 3);

  v1::MergeAttentionStatesResponse merge;
  NumberTensors(&merge);
  merge.mutable_execution()->set_thread_count(4);
  const MergedStateResult merged = FromMessage(merge).value();
  EXPECT_THAT(merged.output.As<float>().value(), ElementsAre(1));
  EXPECT_THAT(merged.log_sum_exp.As<float>().value(), ElementsAre(2));
  EXPECT_EQ(merged.execution.thread_count, 4);
  merge.clear_log_sum_exp();
  EXPECT_THAT(std::string(FromMessage(merge).status().message()), HasSubstr("log_sum_exp"));
}

TEST(ResponseMessagesTest, AnAnswerThatContradictsItselfIsRefused) {
  v1::AttentionResponse response;
  EXPECT_EQ(FromMessage(response).status().code(), absl::StatusCode::kInternal);
  response.mutable_output()->add_shape(2);
  EXPECT_THAT(FromMessage(response).status().message(), HasSubstr("output"));
  response.mutable_output()->set_raw("12345678");
  EXPECT_TRUE(FromMessage(response).ok());
  response.mutable_scores()->set_data_type(static_cast<v1::DataType>(77));
  EXPECT_THAT(FromMessage(response).status().message(), HasSubstr("scores"));
}

TEST(ResponseMessagesTest, TensorsOfAnAnswerThatDoNotBelongTogetherAreRefused) {
  const auto error = [](const char* text) {
    v1::AttentionResponse response;
    EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &response)) << text;
    response.mutable_output()->add_shape(0);
    const absl::Status status = FromMessage(response).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    return std::string(status.message());
  };
  EXPECT_THAT(error("log_sum_exp { shape: 1 floats: 1 } entropy { shape: [1, 1] floats: 1 }"),
              HasSubstr("entropy: shape [1, 1], but log_sum_exp has [1]"));
  EXPECT_THAT(error("entropy { floats: 1 } maximum_weight { shape: 1 floats: 1 }"),
              HasSubstr("maximum_weight: shape [1], but entropy has []"));
  EXPECT_THAT(error("top_weights { shape: [0, 1] } top_keys { shape: [1, 0] }"),
              HasSubstr("top_keys: shape [1, 0], but top_weights has [0, 1]"));
  EXPECT_THAT(error("weights { shape: [0, 1] } scores { shape: [1, 0] }"),
              HasSubstr("scores: shape [1, 0], but weights has [0, 1]"));
  EXPECT_THAT(error("weights { shape: [1099511627776, 0] }"),
              HasSubstr("weights: shape [1099511627776, 0]"));
}

}  // namespace
}  // namespace attention::client
