#include "client/attention_client.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_service.h"

namespace attention::client {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::Le;

const ScriptedFailure kUnavailable = {grpc::Status(grpc::StatusCode::UNAVAILABLE, "draining"), {}};

ScriptedFailure Exhausted(std::vector<std::string> pushbacks) {
  return {grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "full"), std::move(pushbacks)};
}

// Sleeping only moves this clock on.
class FakeClock final : public RetryClock {
 public:
  TimePoint Now() override { return now_; }
  void SleepFor(milliseconds duration) override {
    now_ += duration;
    sleeps_.push_back(duration);
  }

  [[nodiscard]] const std::vector<milliseconds>& sleeps() const { return sleeps_; }

 private:
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  std::vector<milliseconds> sleeps_;
};

class AttentionClientTest : public ::testing::Test {
 protected:
  absl::StatusOr<AttentionResult> Attend() {
    return client_.SelfAttention({.embeddings = TensorRef(numbers_, {1, 1})});
  }

  const std::vector<float> numbers_ = {2};
  FakeService service_;
  FakeClock clock_;
  AttentionClient client_{MakeChannel(service_.address()), {.clock = &clock_}};
};

TEST_F(AttentionClientTest, EveryMethodCallsItsOwn) {
  const TensorRef one(numbers_, {1, 1});
  ASSERT_TRUE(client_.SelfAttention({.embeddings = one}).ok());
  EXPECT_EQ(service_.last_method(), "SelfAttention");
  ASSERT_TRUE(client_.MaskedAttention({.embeddings = one}).ok());
  EXPECT_EQ(service_.last_method(), "MaskedAttention");
  ASSERT_TRUE(client_.MultiHeadAttention({.query = one}).ok());
  EXPECT_EQ(service_.last_method(), "MultiHeadAttention");
  ASSERT_TRUE(client_.CrossAttention({.query_embeddings = one, .memory_embeddings = one}).ok());
  EXPECT_EQ(service_.last_method(), "CrossAttention");
  ASSERT_TRUE(client_.ScaledDotProductAttention({.query = one, .key = one, .value = one}).ok());
  EXPECT_EQ(service_.last_method(), "ScaledDotProductAttention");
  ASSERT_TRUE(client_.ApplyRotaryEmbedding({.input = one, .cos = one, .sin = one}).ok());
  EXPECT_EQ(service_.last_method(), "ApplyRotaryEmbedding");
  v1::AttentionResponse state;
  state.mutable_output()->add_shape(0);
  state.mutable_log_sum_exp()->add_shape(0);
  service_.AnswerWith(state);
  ASSERT_TRUE(client_.MergeAttentionStates({.states = {{one, one}}}).ok());
  EXPECT_EQ(service_.last_method(), "MergeAttentionStates");
}

TEST_F(AttentionClientTest, TheAnswerComesBackTyped) {
  const auto result = Attend();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output.As<float>().value(), ElementsAre(1));
  EXPECT_EQ(service_.last_request<v1::SelfAttentionRequest>().embeddings().raw().size(), 4u);
}

TEST_F(AttentionClientTest, TriesAgainWhenUnavailable) {
  service_.FailNext({kUnavailable, kUnavailable});
  EXPECT_TRUE(Attend().ok());
  EXPECT_EQ(service_.call_count(), 3);
  EXPECT_THAT(clock_.sleeps(), ElementsAre(AllOf(Ge(milliseconds(80)), Le(milliseconds(120))),
                                           AllOf(Ge(milliseconds(160)), Le(milliseconds(240)))));
}

TEST_F(AttentionClientTest, GivesUpAfterTheLastAttemptWithTheServersMessage) {
  service_.FailNext({kUnavailable, kUnavailable, kUnavailable, kUnavailable});
  const absl::Status status = Attend().status();
  EXPECT_EQ(status, absl::UnavailableError("draining"));
  EXPECT_EQ(service_.call_count(), 4);
}

TEST_F(AttentionClientTest, WaitsAsLongAsAFullServerSays) {
  service_.FailNext({Exhausted({"1234"})});
  EXPECT_TRUE(Attend().ok());
  EXPECT_THAT(clock_.sleeps(), ElementsAre(milliseconds(1234)));
}

TEST_F(AttentionClientTest, LeavesAFullServerAloneThatDoesNotSayWhen) {
  const std::vector<std::vector<std::string>> pushbacks = {{}, {"-1"}, {"soon"}};
  for (const std::vector<std::string>& values : pushbacks) {
    service_.FailNext({Exhausted(values)});
    EXPECT_EQ(Attend().status().code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(service_.call_count(), 3);
  EXPECT_TRUE(clock_.sleeps().empty());
}

TEST_F(AttentionClientTest, DoesNotWaitBeyondItsDeadline) {
  service_.FailNext({Exhausted({"60000"})});
  EXPECT_EQ(Attend().status(), absl::ResourceExhaustedError("full"));
  EXPECT_TRUE(clock_.sleeps().empty());
}

TEST_F(AttentionClientTest, AllAttemptsShareOneDeadline) {
  service_.FailNext({Exhausted({"50000"})});
  EXPECT_TRUE(Attend().ok());
  // Ten seconds are left; gRPC rounds what it sends up a little.
  EXPECT_THAT(service_.last_remaining(), AllOf(Ge(milliseconds(5'000)), Le(milliseconds(11'000))));
}

TEST_F(AttentionClientTest, OtherErrorsAreFinal) {
  service_.FailNext(
      {{grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "query.shape[1]: got 0, want > 0"), {}}});
  EXPECT_EQ(Attend().status(), absl::InvalidArgumentError("query.shape[1]: got 0, want > 0"));
  EXPECT_EQ(service_.call_count(), 1);
}

TEST_F(AttentionClientTest, AContradictoryTensorIsNotSent) {
  const auto result = client_.SelfAttention({.embeddings = TensorRef(numbers_, {2, 1})});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(service_.call_count(), 0);
}

TEST_F(AttentionClientTest, ASlowAnswerRunsIntoTheDeadline) {
  service_.HoldCalls();
  AttentionClient hasty(MakeChannel(service_.address()),
                        {.deadline = milliseconds(50), .clock = &clock_});
  EXPECT_EQ(hasty.SelfAttention({.embeddings = TensorRef(numbers_, {1, 1})}).status().code(),
            absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(service_.call_count(), 1);
}

TEST_F(AttentionClientTest, ADeadlineMayBeAsLongAsCanBe) {
  for (const milliseconds deadline : {milliseconds::max(), milliseconds::max() / 1'000'000}) {
    AttentionClient patient(MakeChannel(service_.address()), {.deadline = deadline});
    EXPECT_TRUE(patient.GetServerInfo().ok());
    EXPECT_TRUE(patient.CheckHealth().ok());
  }
  service_.HoldCalls();
  AttentionClient late(MakeChannel(service_.address()), {.deadline = milliseconds::min()});
  EXPECT_EQ(late.GetServerInfo().status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(AttentionClientTest, MessagesAboveTheLimitAreRefusedInBothDirections) {
  AttentionClient small(MakeChannel(service_.address(), {.max_message_bytes = 1000}),
                        {.clock = &clock_});
  const std::vector<float> large(1000);
  EXPECT_EQ(small.SelfAttention({.embeddings = TensorRef(large, {1, 1000})}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(service_.call_count(), 0);
  v1::AttentionResponse response;
  response.mutable_output()->add_shape(1000);
  response.mutable_output()->set_raw(std::string(4000, '\0'));
  service_.AnswerWith(response);
  EXPECT_EQ(small.SelfAttention({.embeddings = TensorRef(numbers_, {1, 1})}).status().code(),
            absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(Attend().ok());
}

TEST_F(AttentionClientTest, MessagesBeyondGrpcsOwnDefaultPass) {
  const std::vector<float> large(3 << 20);  // 12 MiB; gRPC stops at 4 unless told otherwise
  v1::AttentionResponse response;
  response.mutable_output()->add_shape(3 << 20);
  response.mutable_output()->set_raw(std::string(12 << 20, '\0'));
  service_.AnswerWith(response);
  EXPECT_TRUE(client_.SelfAttention({.embeddings = TensorRef(large, {1, 3 << 20})}).ok());
}

TEST_F(AttentionClientTest, ServerInfoIsReadWhole) {
  const ServerInfo info = client_.GetServerInfo().value();
  EXPECT_EQ(info.version, "1.2.3");
  EXPECT_THAT(info.implementations, ElementsAre("fused", "reference"));
  EXPECT_EQ(info.instruction_set, "avx2");
  EXPECT_EQ(info.compute_thread_count, 4);
  EXPECT_EQ(info.max_request_bytes, 5);
  EXPECT_EQ(info.max_response_bytes, 6);
  EXPECT_EQ(info.max_request_flops, 7);
  EXPECT_EQ(info.max_request_float64_flops, 8);
  EXPECT_EQ(info.queue_capacity, 9);
}

TEST_F(AttentionClientTest, LayersAreReadWhole) {
  const LayerInfo layer = client_.GetLayer("encoder.0").value();
  EXPECT_EQ(service_.last_request<v1::GetLayerRequest>().name(), "encoder.0");
  EXPECT_EQ(layer.name, "encoder.0");
  EXPECT_EQ(layer.type, DataType::kBF16);
  EXPECT_EQ(layer.head_count, 4);
  EXPECT_EQ(layer.key_value_head_count, 2);
  EXPECT_EQ(layer.format, "keras");
  EXPECT_EQ(layer.query->input_width, 1);
  EXPECT_TRUE(layer.query->has_bias);
  EXPECT_EQ(layer.key->output_width, 4);
  EXPECT_EQ(layer.value->input_width, 5);
  EXPECT_EQ(layer.output->output_width, 8);
  EXPECT_FALSE(layer.output->has_bias);
  EXPECT_TRUE(layer.appends_key_value);
  EXPECT_EQ(layer.scale, 0.5);
  EXPECT_THAT(layer.sinks, ElementsAre(0, 1, 2, 3));
  const std::vector<LayerInfo> layers = client_.ListLayers().value();
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(layers[0].name, "encoder.0");
  EXPECT_EQ(layers[1].name, "other");
  EXPECT_EQ(layers[1].query, std::nullopt);
  EXPECT_EQ(layers[1].scale, std::nullopt);
}

TEST_F(AttentionClientTest, ALayerTakesThePlaceOfProjectionsAndKnowsItsHeads) {
  const std::vector<float> words = {1, 0, 0, 1};
  EXPECT_TRUE(
      client_.SelfAttention({.embeddings = TensorRef(words, {2, 2}), .layer = "encoder.0"}).ok());
  const auto request = service_.last_request<v1::SelfAttentionRequest>();
  EXPECT_EQ(request.layer(), "encoder.0");
  EXPECT_EQ(request.head_count(), 0);
  EXPECT_FALSE(request.has_projections());
  EXPECT_TRUE(client_
                  .CrossAttention({.query_embeddings = TensorRef(words, {2, 2}),
                                   .memory_embeddings = TensorRef(words, {2, 2}),
                                   .head_count = 4,
                                   .layer = "encoder.0"})
                  .ok());
  EXPECT_EQ(service_.last_request<v1::CrossAttentionRequest>().head_count(), 4);
}

TEST_F(AttentionClientTest, AppendedKeysAndValuesAreSent) {
  const std::vector<float> words = {1, 0, 0, 1};
  const std::vector<float> row = {5, 6};
  EXPECT_TRUE(client_
                  .SelfAttention({.embeddings = TensorRef(words, {2, 2}),
                                  .projections = {.appended_key = TensorRef(row, {2}),
                                                  .appended_value = TensorRef(row, {2})}})
                  .ok());
  const auto request = service_.last_request<v1::SelfAttentionRequest>();
  EXPECT_THAT(request.projections().appended_key().shape(), ElementsAre(2));
  EXPECT_EQ(request.projections().appended_value().raw().size(), 8u);
  EXPECT_FALSE(request.projections().has_key());
}

TEST_F(AttentionClientTest, HealthFollowsTheServer) {
  EXPECT_EQ(client_.CheckHealth().value(), ServingStatus::kServing);
  service_.SetServing(false);
  EXPECT_EQ(client_.CheckHealth().value(), ServingStatus::kNotServing);
  EXPECT_EQ(client_.CheckHealth("attention.v1.AttentionService").value(),
            ServingStatus::kNotServing);
  EXPECT_EQ(client_.CheckHealth("no.such.Service").status().code(), absl::StatusCode::kNotFound);
}

TEST(AttentionClientWithoutServerTest, HealthFailsAtOnceAndCallsAfterTheirRetries) {
  FakeClock clock;
  AttentionClient client(MakeChannel("127.0.0.1:1"), {.clock = &clock});
  EXPECT_EQ(client.CheckHealth().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(clock.sleeps().empty());
  EXPECT_EQ(client.GetServerInfo().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(clock.sleeps().size(), 3u);
}

}  // namespace
}  // namespace attention::client
