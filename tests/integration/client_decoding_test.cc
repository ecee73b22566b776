// Decoding sessions of the C++ client library against a real server.

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "client/attention_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/server_process.h"
#include "tests/support/random.h"

namespace attention::client {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kHeads = 4;
constexpr int64_t kKeyValueHeads = 2;
constexpr int64_t kWidth = 8;

std::vector<float> Numbers(int64_t count, uint64_t seed) {
  test::Random random(seed);
  std::vector<float> numbers(static_cast<size_t>(count));
  for (float& number : numbers) number = static_cast<float>(random.Normal());
  return numbers;
}

// Queries, keys and values of some tokens, [heads, tokens, width].
struct Tokens {
  Tokens(int64_t token_count, uint64_t seed)
      : count(token_count),
        query(Numbers(kHeads * token_count * kWidth, seed)),
        key(Numbers(kKeyValueHeads * token_count * kWidth, seed + 1)),
        value(Numbers(kKeyValueHeads * token_count * kWidth, seed + 2)) {}

  [[nodiscard]] ScaledDotProductAttentionRequest Request() const {
    ScaledDotProductAttentionRequest request;
    request.query = TensorRef(query, {kHeads, count, kWidth});
    request.key = TensorRef(key, {kKeyValueHeads, count, kWidth});
    request.value = TensorRef(value, {kKeyValueHeads, count, kWidth});
    request.options.causal = Causal{.alignment = Causal::Alignment::kBottomRight};
    return request;
  }

  int64_t count;
  std::vector<float> query, key, value;
};

class ClientDecodingTest : public ::testing::Test {
 protected:
  testing::ServerProcess server_;
  AttentionClient client_{MakeChannel(server_.grpc_address())};
};

TEST_F(ClientDecodingTest, EachAnswerIsThatOfAttentionToAllTokensSoFar) {
  const std::unique_ptr<DecodingSession> session = client_.StartDecoding();
  AttentionResult past;  // keys and values so far
  for (const int64_t count : {5, 1, 1, 3, 200, 1}) {
    const Tokens tokens(count, static_cast<uint64_t>(count));
    ScaledDotProductAttentionRequest request = tokens.Request();
    const auto got = session->Attend(request);
    ASSERT_TRUE(got.ok()) << got.status();
    if (past.present_key.has_value()) {
      request.past_key = past.present_key->ref();
      request.past_value = past.present_value->ref();
    }
    request.return_present = true;
    auto want = client_.ScaledDotProductAttention(request);
    ASSERT_TRUE(want.ok()) << want.status();
    EXPECT_THAT(got->output.bytes(), ElementsAreArray(want->output.bytes()));
    past = *std::move(want);
  }
}

TEST_F(ClientDecodingTest, WhatTheLibraryRefusesLeavesTheSessionAsItWas) {
  const std::unique_ptr<DecodingSession> session = client_.StartDecoding();
  const Tokens tokens(3, 1);
  ScaledDotProductAttentionRequest wrong = tokens.Request();
  wrong.key = TensorRef(tokens.key, {kKeyValueHeads, 7, kWidth});
  EXPECT_THAT(std::string(session->Attend(wrong).status().message()), StartsWith("key: shape"));
  EXPECT_TRUE(session->Attend(tokens.Request()).ok());
}

TEST_F(ClientDecodingTest, WhatTheServerRefusesEndsTheSession) {
  const std::unique_ptr<DecodingSession> session = client_.StartDecoding();
  const Tokens tokens(3, 1);
  ASSERT_TRUE(session->Attend(tokens.Request()).ok());
  ScaledDotProductAttentionRequest wrong = tokens.Request();
  wrong.return_present = true;
  const absl::Status status = session->Attend(wrong).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("return_present"));
  EXPECT_EQ(session->Attend(tokens.Request()).status(), status);
}

TEST_F(ClientDecodingTest, ARequestHasTheClientsDeadline) {
  AttentionClient hasty(MakeChannel(server_.grpc_address()),
                        {.deadline = std::chrono::milliseconds(0)});
  const std::unique_ptr<DecodingSession> session = hasty.StartDecoding();
  const Tokens tokens(3, 1);
  EXPECT_EQ(session->Attend(tokens.Request()).status().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(session->Attend(tokens.Request()).status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ClientDecodingTest, ASessionOutlivesItsClientAndNotItsServer) {
  auto server = std::make_unique<testing::ServerProcess>();
  std::unique_ptr<DecodingSession> session;
  {
    AttentionClient client(MakeChannel(server->grpc_address()));
    session = client.StartDecoding();
  }
  const Tokens tokens(3, 1);
  EXPECT_TRUE(session->Attend(tokens.Request()).ok());
  server.reset();
  EXPECT_EQ(session->Attend(tokens.Request()).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ClientDecodingTest, ASessionNeedNotBeUsed) { (void)client_.StartDecoding(); }

}  // namespace
}  // namespace attention::client
