#include "client/request_bytes.h"

#include <numeric>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "client/messages.h"
#include "gmock/gmock.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Numbers that the mistake of an element or a block would change.
std::vector<float> Numbers(int64_t count) {
  std::vector<float> numbers(static_cast<size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0.5f);
  return numbers;
}

constexpr int64_t kWidth = 150;
const std::vector<float> kLargeNumbers = Numbers(kWidth * kWidth);  // 90 kB
const std::vector<float> kSmallNumbers = Numbers(kWidth);

TensorRef Large() { return TensorRef(kLargeNumbers, {kWidth, kWidth}); }
TensorRef Small() { return TensorRef(kSmallNumbers, {kWidth}); }

// The fields whose elements follow the message. Expects what is sent to be read as the whole one.
template <typename Request>
std::vector<std::string> FieldsBehindTheMessage(const Request& request) {
  std::vector<LargeTensor> large;
  const auto message = ToMessage(request, &large).value();
  grpc::ByteBuffer bytes = RequestBytes(message, large);

  using Message = std::decay_t<decltype(message)>;
  Message read;
  EXPECT_TRUE(grpc::SerializationTraits<Message>::Deserialize(&bytes, &read).ok());
  // Too long to be printed.
  EXPECT_TRUE(read.SerializeAsString() == ToMessage(request).value().SerializeAsString());

  std::vector<std::string> fields;
  for (const LargeTensor& tensor : large) fields.push_back(tensor.field);
  return fields;
}

TEST(RequestBytesTest, SmallTensorsAreInTheMessage) {
  EXPECT_THAT(FieldsBehindTheMessage(SelfAttentionRequest{.embeddings = Small(), .head_count = 3}),
              IsEmpty());
}

TEST(RequestBytesTest, LargeTensorsFollowIt) {
  ScaledDotProductAttentionRequest request;
  request.query = request.value = Large();
  request.key = Small();
  request.past_key = Large();
  request.return_present = true;
  EXPECT_THAT(FieldsBehindTheMessage(request), ElementsAre("query", "value", "past_key"));
}

TEST(RequestBytesTest, RepeatedTensorsAreInTheMessage) {
  EXPECT_THAT(FieldsBehindTheMessage(
                  MergeAttentionStatesRequest{.states = {{Large(), Small()}, {Large(), Large()}}}),
              IsEmpty());
}

TEST(RequestBytesTest, ElementsOfManyMegabytes) {
  constexpr int64_t kCount = int64_t{1} << 20;
  const std::vector<float> numbers = Numbers(kCount + 1);
  CrossAttentionRequest request;
  request.query_embeddings = TensorRef(std::span(numbers).first(kCount), {kCount, 1});
  request.memory_embeddings = TensorRef(numbers, {kCount + 1, 1});
  EXPECT_THAT(FieldsBehindTheMessage(request),
              ElementsAre("query_embeddings", "memory_embeddings"));
}

Projections LargeProjections() {
  Projections projections;
  projections.query = Projection{.weight = Large(), .bias = Large()};
  projections.key = projections.value = projections.output = projections.query;
  projections.appended_key = projections.appended_value = Large();
  return projections;
}

AttentionOptions LargeOptions() {
  AttentionOptions options;
  options.boolean_mask = options.additive_mask = options.multiplicative_mask = Large();
  options.block_mask = BlockMask{.mask = Large(), .query_block_size = 2};
  options.prefix_lengths = options.key_lengths = Large();
  options.query_segments = options.key_segments = Large();
  options.alibi = Alibi{.slopes = Large()};
  options.relative_position_bias = RelativePositionBias{.table = Large()};
  options.sinks = options.head_mask = options.temperature = Large();
  options.score = AdditiveScore{.query_weight = Large(), .key_weight = Large(), .vector = Large()};
  return options;
}

// Adds the paths of all tensors that a message of this type can have, but for repeated ones.
void AddTensorFields(const google::protobuf::Descriptor& type, const std::string& path,
                     std::set<std::string>* fields) {
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    if (field.message_type() == nullptr || field.is_repeated()) continue;
    const std::string field_path = path + field.name();
    if (field.message_type() == v1::Tensor::descriptor()) fields->insert(field_path);
    AddTensorFields(*field.message_type(), field_path + ".", fields);
  }
}

// Expects each tensor that a Message can have to be in the request, and to find its place.
template <typename Message, typename Request>
void ExpectEveryTensor(Request request) {
  std::vector<std::string> found = FieldsBehindTheMessage(request);
  if constexpr (requires { request.options; }) {
    request.options.score = GeneralScore{.weight = Large()};
    const std::vector<std::string> more = FieldsBehindTheMessage(request);
    found.insert(found.end(), more.begin(), more.end());
  }
  std::set<std::string> wanted;
  AddTensorFields(*Message::descriptor(), "", &wanted);
  EXPECT_EQ(std::set<std::string>(found.begin(), found.end()), wanted);
}

TEST(RequestBytesTest, EveryTensorFindsItsPlace) {
  SelfAttentionRequest self;
  self.embeddings = Large();
  self.projections = LargeProjections();
  self.options = LargeOptions();
  ExpectEveryTensor<v1::SelfAttentionRequest>(self);

  MaskedAttentionRequest masked;
  masked.embeddings = Large();
  masked.projections = LargeProjections();
  masked.options = LargeOptions();
  ExpectEveryTensor<v1::MaskedAttentionRequest>(masked);

  MultiHeadAttentionRequest multi_head;
  multi_head.query = Large();
  multi_head.key = multi_head.value = Large();
  multi_head.projections = LargeProjections();
  multi_head.options = LargeOptions();
  ExpectEveryTensor<v1::MultiHeadAttentionRequest>(multi_head);

  CrossAttentionRequest cross;
  cross.query_embeddings = cross.memory_embeddings = Large();
  cross.projections = LargeProjections();
  cross.options = LargeOptions();
  ExpectEveryTensor<v1::CrossAttentionRequest>(cross);

  ScaledDotProductAttentionRequest ready;
  ready.query = ready.key = ready.value = Large();
  ready.past_key = ready.past_value = ready.query_starts = ready.key_starts = Large();
  ready.options = LargeOptions();
  ExpectEveryTensor<v1::ScaledDotProductAttentionRequest>(ready);

  ApplyRotaryEmbeddingRequest rotary;
  rotary.input = rotary.cos = rotary.sin = Large();
  rotary.position_ids = Large();
  ExpectEveryTensor<v1::ApplyRotaryEmbeddingRequest>(rotary);
}

}  // namespace
}  // namespace attention::client
