#include "server/codec/request_decoder.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

// A stream decodes its requests itself.
std::vector<Method> MethodsOfOneRequest() {
  std::vector<Method> methods(kMethods.begin(), kMethods.end());
  std::erase(methods, Method::kDecodeAttention);
  return methods;
}

TEST(NewRequestMessageTest, FitsEveryMethod) {
  for (const Method method : MethodsOfOneRequest()) {
    const auto message = NewRequestMessage(method);
    ASSERT_NE(message, nullptr);
    EXPECT_EQ(message->GetDescriptor()->name(), std::string(Name(method)) + "Request");
    // Empty requests lack their first tensor, or a mask, which is said in every method's own words.
    EXPECT_THAT(DecodeRequestOf(method, *message),
                test::StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr(": got no")));
  }
}

// A small valid request of each method that attends.
std::unique_ptr<google::protobuf::Message> ValidRequest(Method method, v1::Precision precision) {
  const v1::Tensor tensor = test::Zeros({1, 2, 4});
  auto message = NewRequestMessage(method);
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  for (const char* name :
       {"embeddings", "query", "key", "value", "query_embeddings", "memory_embeddings"}) {
    if (const auto* field = message->GetDescriptor()->FindFieldByName(name); field != nullptr) {
      reflection.MutableMessage(message.get(), field)->CopyFrom(tensor);
    }
  }
  v1::AttentionOptions options;
  options.mutable_causal();
  options.set_precision(precision);
  const auto* field = message->GetDescriptor()->FindFieldByName("options");
  reflection.MutableMessage(message.get(), field)->CopyFrom(options);
  return message;
}

TEST(DecodeRequestOfTest, TakesTheDefaultPrecisionUnlessTheRequestNamesOne) {
  const RequestDefaults defaults = {.precision = kernels::Precision::kBF16X6};
  for (const Method method : MethodsOfOneRequest()) {
    const auto* descriptor = NewRequestMessage(method)->GetDescriptor();
    if (descriptor->FindFieldByName("options") == nullptr) continue;  // no matrix products
    const auto silent = ValidRequest(method, v1::PRECISION_UNSPECIFIED);
    const auto by_default = DecodeRequestOf(method, *silent, defaults);
    ASSERT_THAT(by_default, test::IsOk());
    EXPECT_EQ(std::get<DecodedRequest>(*by_default).task.options.precision,
              kernels::Precision::kBF16X6)
        << Name(method);
    const auto speaking = ValidRequest(method, v1::PRECISION_BF16_X3);
    const auto by_name = DecodeRequestOf(method, *speaking, defaults);
    ASSERT_THAT(by_name, test::IsOk());
    EXPECT_EQ(std::get<DecodedRequest>(*by_name).task.options.precision,
              kernels::Precision::kBF16X3)
        << Name(method);
  }
}

TEST(DecodeRequestOfTest, KnowsTheKindOfTaskOfEachMethod) {
  v1::ApplyRotaryEmbeddingRequest rotary;
  *rotary.mutable_input() = test::Zeros({1, 1, 1, 2});
  *rotary.mutable_cos() = test::Zeros({1, 1, 1});
  *rotary.mutable_sin() = test::Zeros({1, 1, 1});
  auto decoded = DecodeRequestOf(Method::kApplyRotaryEmbedding, rotary);
  ASSERT_THAT(decoded, test::IsOk());
  const DecodedCall turn = *std::move(decoded);
  EXPECT_EQ(std::get<const RotaryTask*>(TaskOf(turn)),
            &std::get<DecodedRotaryEmbedding>(turn).task);

  v1::MergeAttentionStatesRequest merge;
  *merge.add_states()->mutable_output() = test::Zeros({1, 1, 2});
  *merge.mutable_states(0)->mutable_log_sum_exp() = test::Zeros({1, 1});
  decoded = DecodeRequestOf(Method::kMergeAttentionStates, merge);
  ASSERT_THAT(decoded, test::IsOk());
  EXPECT_EQ(std::get<const MergeTask*>(TaskOf(*decoded))->states.size(), 1U);
}

TEST(DecodedRequestTest, KeepsItsPointersWhenMoved) {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = test::Floats({2, 1}, {1, 2}, v1::DATA_TYPE_F64);
  *request.mutable_options()->mutable_key_lengths() = test::Floats({1}, {2}, v1::DATA_TYPE_INT32);
  auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, test::IsOk());
  const void* const elements = decoded->task.query.view.data;
  const int64_t* const lengths = decoded->task.problem.key_lengths.data();
  const DecodedRequest moved = *std::move(decoded);
  EXPECT_EQ(moved.task.query.view.data, elements);
  EXPECT_EQ(static_cast<const double*>(elements)[1], 2);
  EXPECT_EQ(moved.task.problem.key_lengths.data(), lengths);
  ASSERT_EQ(moved.task.problem.key_lengths.size(), 1U);
  EXPECT_EQ(moved.task.problem.key_lengths[0], 2);
}

}  // namespace
}  // namespace attention::server
