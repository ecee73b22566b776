#include "server/codec/wire_message.h"

#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/request_decoder.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using absl::StatusCode;
using test::IsOk;
using test::StatusIs;
using test::Zeros;

// In slices of `slice_bytes`, as messages come from the network.
grpc::ByteBuffer Buffered(const std::string& bytes, size_t slice_bytes = 7) {
  std::vector<grpc::Slice> slices;
  for (size_t begin = 0; begin < bytes.size(); begin += slice_bytes) {
    slices.emplace_back(bytes.substr(begin, slice_bytes));
  }
  return {slices.data(), slices.size()};
}

absl::Status Parse(const std::string& bytes) {
  v1::SelfAttentionRequest request;
  return ParseWireMessage(Buffered(bytes), request);
}

// A request with something in every kind of field.
v1::SelfAttentionRequest FullRequest() {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({2, 3, 4});
  *request.mutable_projections()->mutable_query() = test::ZeroProjection(4, 8, true);
  request.set_head_count(2);
  v1::AttentionOptions& options = *request.mutable_options();
  options.set_scale(0.5);
  *options.mutable_general_score()->mutable_weight() = test::Floats({2}, {1, 2});
  options.set_normalization(v1::NORMALIZATION_NONE);
  *options.mutable_boolean_mask() = Zeros({3}, v1::DATA_TYPE_BOOL);
  options.mutable_causal()->set_alignment(v1::CAUSAL_ALIGNMENT_OFFSET);
  options.mutable_causal()->set_offset(-5);
  options.set_return_weights(true);
  options.set_return_scores(v1::SCORES_KIND_MASKED);
  return request;
}

TEST(ParseWireMessageTest, ParsesWhatIsValidWhereverSlicesEnd) {
  const v1::SelfAttentionRequest sent = FullRequest();
  for (const size_t slice_bytes : {size_t{1}, size_t{2}, size_t{13}, size_t{100'000}}) {
    v1::SelfAttentionRequest received;
    ASSERT_THAT(ParseWireMessage(Buffered(sent.SerializeAsString(), slice_bytes), received),
                IsOk());
    EXPECT_EQ(received.SerializeAsString(), sent.SerializeAsString());
  }
}

TEST(ParseWireMessageTest, TakesNoBytesForAnEmptyMessage) {
  v1::SelfAttentionRequest request;
  EXPECT_THAT(ParseWireMessage(grpc::ByteBuffer(), request), IsOk());
  EXPECT_THAT(Parse(""), IsOk());
}

TEST(ParseWireMessageTest, LeavesTheBytesAsTheyAre) {
  const grpc::ByteBuffer bytes = Buffered(FullRequest().SerializeAsString());
  v1::SelfAttentionRequest first;
  v1::SelfAttentionRequest second;
  ASSERT_THAT(ParseWireMessage(bytes, first), IsOk());
  ASSERT_THAT(ParseWireMessage(bytes, second), IsOk());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
}

struct Refusal {
  std::string name;
  std::string bytes;
  StatusCode code;
  std::string message;
};

std::vector<Refusal> Refusals() {
  const std::string malformed = "request: not a valid SelfAttentionRequest message";
  const auto bytes = [](std::vector<int> values) {
    return std::string(values.begin(), values.end());
  };
  return {
      {"a zero tag", bytes({0}), StatusCode::kInvalidArgument, malformed},
      {"a cut tag", bytes({0xff}), StatusCode::kInvalidArgument, malformed},
      {"an endless tag", std::string(20, '\xff'), StatusCode::kInvalidArgument, malformed},
      {"field number 0", bytes({0x02, 0x00}), StatusCode::kInvalidArgument, malformed},
      {"a length beyond the end", bytes({0x0a, 0x05, 0x08}), StatusCode::kInvalidArgument,
       malformed},
      {"a length beyond its parent", bytes({0x0a, 0x02, 0x1a, 0x05, 0x18, 0x01, 0, 0, 0}),
       StatusCode::kInvalidArgument, malformed},
      {"a length of 2^35", bytes({0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}),
       StatusCode::kInvalidArgument, malformed},
      {"a varint of eleven bytes", bytes({0x18}) + std::string(11, '\x81'),
       StatusCode::kInvalidArgument, malformed},
      {"a cut double", bytes({0x22, 0x03, 0x09, 0x00, 0x00}), StatusCode::kInvalidArgument,
       malformed},
      {"a known field of another wire type", bytes({0x1a, 0x01, 0x01}),
       StatusCode::kInvalidArgument, malformed},
      {"a message as a varint", bytes({0x08, 0x01}), StatusCode::kInvalidArgument, malformed},
      {"an end without a beginning", bytes({0x0c}), StatusCode::kInvalidArgument, malformed},
      {"text", "{\"embeddings\": {}}", StatusCode::kUnimplemented,
       "request: field number 15 is not known to this server"},
      {"field 99", bytes({0x98, 0x06, 0x01}), StatusCode::kUnimplemented,
       "request: field number 99 is not known to this server"},
      {"a group", bytes({0x9b, 0x06, 0x9c, 0x06}), StatusCode::kUnimplemented,
       "request: field number 99 is not known to this server"},
      {"options field 99", bytes({0x22, 0x03, 0x98, 0x06, 0x01}), StatusCode::kUnimplemented,
       "options: field number 99 is not known to this server"},
      {"causal field 7", bytes({0x22, 0x04, 0x42, 0x02, 0x38, 0x00}), StatusCode::kUnimplemented,
       "options.causal: field number 7 is not known to this server"},
      {"tensor field 5", bytes({0x12, 0x06, 0x0a, 0x04, 0x0a, 0x02, 0x28, 0x01}),
       StatusCode::kUnimplemented,
       "projections.query.weight: field number 5 is not known to this server"},
      {"an unknown normalization", bytes({0x22, 0x02, 0x20, 0x63}), StatusCode::kInvalidArgument,
       "options.normalization: got 99, want 0 to 3"},
      {"an unknown data type", bytes({0x0a, 0x02, 0x08, 0x08}), StatusCode::kInvalidArgument,
       "embeddings.data_type: got 8, want 0 to 7"},
      {"a negative data type", bytes({0x0a, 0x0b, 0x08}) + std::string(9, '\xff') + "\x01",
       StatusCode::kInvalidArgument, "embeddings.data_type: got -1, want 0 to 7"},
      {"an enumeration that is 1 in its lower half",
       bytes({0x0a, 0x06, 0x08, 0x81, 0x80, 0x80, 0x80, 0x10}), StatusCode::kInvalidArgument,
       "embeddings.data_type: got 4294967297, want 0 to 7"},
      {"a head count that is 1 in its lower half", bytes({0x18, 0x81, 0x80, 0x80, 0x80, 0x10}),
       StatusCode::kInvalidArgument, "head_count: got 4294967297, want a number of 32 bits"},
      {"a packed shape of 8193 extents",
       bytes({0x0a, 0x84, 0x40, 0x12, 0x81, 0x40}) + std::string(8193, '\0'),
       StatusCode::kInvalidArgument, "embeddings.shape: got more than 8192 numbers, want fewer"},
  };
}

TEST(ParseWireMessageTest, RefusesWhatIsNotAMessageItKnows) {
  for (const Refusal& refusal : Refusals()) {
    EXPECT_THAT(Parse(refusal.bytes), StatusIs(refusal.code, refusal.message)) << refusal.name;
  }
}

TEST(ParseWireMessageTest, CountsTheExtentsOfAllTensorsTogether) {
  // Each merges into the same field, so that each alone says little about what parsing would hold.
  std::string bytes;
  for (int i = 0; i < 3000; ++i) bytes += std::string("\x0a\x06\x10\x01\x10\x01\x10\x01", 8);
  EXPECT_THAT(Parse(bytes), StatusIs(StatusCode::kInvalidArgument,
                                     "embeddings.shape: got more than 8192 numbers, want fewer"));
}

// An empty one takes two bytes on the wire and many times that in memory.
TEST(ParseWireMessageTest, CountsRepeatedMessages) {
  std::string bytes;
  for (int i = 0; i < 1024; ++i) bytes += std::string("\x0a\x00", 2);
  const auto parse = [](const std::string& text) {
    v1::MergeAttentionStatesRequest request;
    const grpc::Slice slice(text);
    return ParseWireMessage(grpc::ByteBuffer(&slice, 1), request);
  };
  EXPECT_THAT(parse(bytes), test::IsOk());
  EXPECT_THAT(parse(bytes + std::string("\x0a\x00", 2)),
              StatusIs(StatusCode::kInvalidArgument, "states: got more than 1024, want fewer"));
}

TEST(ParseWireMessageTest, RefusesEveryMessageThatIsCutShort) {
  const std::string whole = FullRequest().SerializeAsString();
  int accepted = 0;
  for (size_t length = 1; length < whole.size(); ++length) {
    v1::SelfAttentionRequest request;
    const absl::Status status = ParseWireMessage(Buffered(whole.substr(0, length)), request);
    // A cut between two fields of the request leaves a valid message.
    if (status.ok()) {
      ++accepted;
      EXPECT_EQ(request.SerializeAsString(), whole.substr(0, length));
    } else {
      EXPECT_EQ(status.code(), StatusCode::kInvalidArgument);
    }
  }
  EXPECT_EQ(accepted, 3);
}

bool HasUnknownFields(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  return std::any_of(fields.begin(), fields.end(), [&](const auto* field) {
    return field->message_type() != nullptr &&
           HasUnknownFields(reflection.GetMessage(message, field));
  });
}

TEST(ParseWireMessageTest, NeverAcceptsAnUnknownFieldInDamagedBytes) {
  const std::string whole = FullRequest().SerializeAsString();
  std::mt19937 random(1);
  int accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = whole;
    for (int change = 0; change < 1 + round % 3; ++change) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    v1::SelfAttentionRequest request;
    const absl::Status status = ParseWireMessage(Buffered(damaged, 64), request);
    if (status.ok()) {
      ++accepted;
      EXPECT_FALSE(HasUnknownFields(request));
    }
  }
  EXPECT_GT(accepted, 100) << "most damage hits elements, which may be anything";
}

TEST(CheckWholeTest, TellsAnEmptyMessageFromNone) {
  const grpc::Slice nothing;
  EXPECT_THAT(CheckWhole(grpc::ByteBuffer(&nothing, 1)), IsOk());
  EXPECT_THAT(CheckWhole(grpc::ByteBuffer()),
              StatusIs(StatusCode::kInvalidArgument, "request: got no whole message"));
}

}  // namespace
}  // namespace attention::server
