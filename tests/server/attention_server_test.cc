#include "server/attention_server.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "attention/v1/attention_service.grpc.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/wire_message.h"
#include "tests/server/codec/messages.h"
#include "tests/server/http_exchange.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::Floats;
using test::HttpGet;
using test::Zeros;
using testing::ElementsAre;
using testing::FloatEq;
using testing::HasSubstr;
using testing::StartsWith;

ServerOptions OnFreePorts() {
  ServerOptions options;
  options.grpc_address = "127.0.0.1:0";
  options.http_address = "127.0.0.1:0";
  options.warm_up.shapes.clear();
  return options;
}

// A request with an answer that no window of a stream holds.
constexpr int64_t kLargeAnswerRows = 2000;
constexpr int64_t kLargeAnswerBytes = 4 * kLargeAnswerRows * (kLargeAnswerRows + 1);
std::string LargeAnswerRequest() {
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({kLargeAnswerRows, 1});
  request.mutable_options()->set_return_weights(true);
  return request.SerializeAsString();
}

// A server on free ports and a client of it.
class AttentionServerTest : public testing::Test {
 protected:
  void Start(const ServerOptions& options = OnFreePorts()) {
    auto server = AttentionServer::Start(options, log_);
    ASSERT_THAT(server, test::IsOk());
    server_ = *std::move(server);
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);  // None of this machine's stands between.
    channel_ = grpc::CreateCustomChannel(server_->grpc_address(),
                                         grpc::InsecureChannelCredentials(), arguments);
    stub_ = v1::AttentionService::NewStub(channel_);
  }

  // Sends `bytes` as they are.
  grpc::Status CallPath(const std::string& path, const std::string& bytes,
                        grpc::ClientContext* context, grpc::ByteBuffer* response) {
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareUnaryCall(context, path, request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(response, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  grpc::Status Call(const std::string& method, const std::string& bytes,
                    grpc::ClientContext* context) {
    grpc::ByteBuffer response;
    return CallPath("/attention.v1.AttentionService/" + method, bytes, context, &response);
  }

  grpc::Status Call(const std::string& method, const std::string& bytes) {
    grpc::ClientContext context;
    return Call(method, bytes, &context);
  }

  std::string Health(const std::string& name) {
    grpc::ClientContext context;
    grpc::ByteBuffer response;
    const grpc::Status status =
        CallPath("/grpc.health.v1.Health/Check",
                 std::string("\x0a") + static_cast<char>(name.size()) + name, &context, &response);
    if (!status.ok()) return status.error_message();
    grpc::Slice slice;
    EXPECT_TRUE(response.DumpToSingleSlice(&slice).ok());
    const std::string bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
    return bytes == "\x08\x01" ? "SERVING" : bytes == "\x08\x02" ? "NOT_SERVING" : bytes;
  }

  std::string Metrics() { return HttpGet(server_->http_address(), "/metrics"); }

  // A call of SelfAttention whose answer is there and stays where it is.
  class UntakenAnswer {
   public:
    explicit UntakenAnswer(AttentionServerTest& test) : stub_(test.channel_) {
      const grpc::Slice slice(LargeAnswerRequest());
      call_ = stub_.PrepareCall(&context_, "/attention.v1.AttentionService/SelfAttention", &queue_);
      call_->StartCall(nullptr);
      Wait();
      call_->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
      Wait();
      const auto answered = testing::HasSubstr("{code=\"ok\",method=\"SelfAttention\"} 1\n");
      for (int turn = 0; turn < 10'000 && !testing::Matches(answered)(test.Metrics()); ++turn)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      EXPECT_THAT(test.Metrics(), answered);
    }
    ~UntakenAnswer() {
      context_.TryCancel();
      grpc::Status status;
      call_->Finish(&status, nullptr);
      Wait();
    }

   private:
    void Wait() {
      void* tag = nullptr;
      bool ok = false;
      queue_.Next(&tag, &ok);
    }

    grpc::ClientContext context_;
    grpc::GenericStub stub_;
    grpc::CompletionQueue queue_;
    std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  };

  JsonLog log_{LogLevel::kError};
  std::unique_ptr<AttentionServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::AttentionService::Stub> stub_;
};

TEST_F(AttentionServerTest, AttendsAndSaysWhatRan) {
  Start();
  v1::ScaledDotProductAttentionRequest request;
  *request.mutable_query() = Floats({1, 2, 2}, {1, 0, 0, 1});
  *request.mutable_key() = Floats({1, 2, 2}, {1, 0, 0, 1});
  *request.mutable_value() = Floats({1, 2, 2}, {1, 2, 3, 4});
  request.mutable_options()->set_scale(0);  // both keys weigh the same
  request.mutable_options()->set_return_weights(true);
  grpc::ClientContext context;
  v1::AttentionResponse response;
  const grpc::Status status = stub_->ScaledDotProductAttention(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_THAT(response.output().shape(), ElementsAre(1, 2, 2));
  EXPECT_THAT(response.output().floats(),
              ElementsAre(FloatEq(2), FloatEq(3), FloatEq(2), FloatEq(3)));
  EXPECT_THAT(response.weights().floats(), testing::Each(FloatEq(0.5F)));
  const v1::Execution& execution = response.execution();
  EXPECT_EQ(execution.implementation(), server_->implementation());
  EXPECT_GE(execution.thread_count(), 1);
  EXPECT_GT(execution.compute_ns(), 0);
  EXPECT_GE(execution.total_ns(), execution.queue_ns() + execution.compute_ns());
  const auto header = context.GetServerInitialMetadata().find("x-request-id");
  ASSERT_NE(header, context.GetServerInitialMetadata().end());
  EXPECT_EQ(std::string(header->second.data(), header->second.size()), execution.request_id());
}

TEST_F(AttentionServerTest, ServesEveryMethod) {
  Start();
  v1::SelfAttentionRequest self;
  *self.mutable_embeddings() = Zeros({1, 3, 4});
  v1::MaskedAttentionRequest masked;
  *masked.mutable_embeddings() = Zeros({1, 3, 4});
  masked.mutable_options()->mutable_causal();
  v1::MultiHeadAttentionRequest multi_head;
  *multi_head.mutable_query() = Zeros({1, 3, 4});
  multi_head.set_head_count(2);
  v1::CrossAttentionRequest cross;
  *cross.mutable_query_embeddings() = Zeros({1, 3, 4});
  *cross.mutable_memory_embeddings() = Zeros({1, 5, 4});
  EXPECT_TRUE(Call("SelfAttention", self.SerializeAsString()).ok());
  EXPECT_TRUE(Call("MaskedAttention", masked.SerializeAsString()).ok());
  EXPECT_TRUE(Call("MultiHeadAttention", multi_head.SerializeAsString()).ok());
  EXPECT_TRUE(Call("CrossAttention", cross.SerializeAsString()).ok());
  const std::string metrics = Metrics();
  for (const char* method :
       {"SelfAttention", "MaskedAttention", "MultiHeadAttention", "CrossAttention"}) {
    EXPECT_THAT(metrics, HasSubstr(std::string("attention_requests_total{code=\"ok\",method=\"") +
                                   method + "\"} 1\n"));
  }
  EXPECT_THAT(metrics, HasSubstr("attention_requests_in_flight 0\n"));
}

TEST_F(AttentionServerTest, RefusesBadBytesByCodeAndCountsWhy) {
  Start();
  const grpc::Status malformed = Call("SelfAttention", "\xff\xff");
  EXPECT_EQ(malformed.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(malformed.error_message(), "request: not a valid SelfAttentionRequest message");
  EXPECT_EQ(Call("SelfAttention", "").error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Call("CrossAttention", "\x98\x06\x01").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(Call("GetServerInfo", "\x08\x01").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(Call("NoSuchMethod", "").error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(Metrics(),
              testing::AllOf(HasSubstr("attention_rejected_total{reason=\"malformed\"} 1\n"),
                             HasSubstr("attention_rejected_total{reason=\"invalid\"} 1\n"),
                             HasSubstr("attention_rejected_total{reason=\"unknown_field\"} 1\n")));
}

TEST_F(AttentionServerTest, NamesItsOwnLimitWhereARequestIsTooLarge) {
  ServerOptions options = OnFreePorts();
  options.engine.limits.max_request_bytes = 1000;
  Start(options);
  const grpc::Status status = Call("SelfAttention", std::string(1001, '\0'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request: got 1001 bytes, want <= 1000 (--max-request-bytes)");
}

TEST_F(AttentionServerTest, RefusesForGoodWhatNoMemoryWouldDoFor) {
  ServerOptions options = OnFreePorts();
  options.engine.limits.max_request_bytes = 1000;
  options.engine.max_bytes_in_flight = 500;
  Start(options);
  grpc::ClientContext context;
  const grpc::Status status = Call("SelfAttention", std::string(600, '\0'), &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request: got 600 bytes, want <= 500 (--max-bytes-in-flight)");
  EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 0);
}

TEST_F(AttentionServerTest, SaysWhenToComeBackWhereMemoryIsTaken) {
  ServerOptions options = OnFreePorts();
  options.engine.max_bytes_in_flight = 20 << 20;
  Start(options);
  const UntakenAnswer most_of_it(*this);
  grpc::ClientContext context;
  const grpc::Status status = Call("SelfAttention", LargeAnswerRequest(), &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  const auto trailer = context.GetServerTrailingMetadata().find("grpc-retry-pushback-ms");
  ASSERT_NE(trailer, context.GetServerTrailingMetadata().end());
  EXPECT_GT(std::stoi(std::string(trailer->second.data(), trailer->second.size())), 0);
}

TEST_F(AttentionServerTest, KeepsNothingButTheAnswerUntilThatIsTaken) {
  Start();
  const UntakenAnswer untaken(*this);
  EXPECT_THAT(Metrics(),
              HasSubstr("attention_bytes_in_flight " + std::to_string(kLargeAnswerBytes) + "\n"));
}

TEST_F(AttentionServerTest, DescribesItself) {
  ServerOptions options = OnFreePorts();
  options.engine.queue_capacity = 7;
  options.engine.thread_count = 1;
  Start(options);
  grpc::ClientContext context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.queue_capacity(), 7);
  EXPECT_EQ(info.compute_thread_count(), 1);
  EXPECT_EQ(info.implementations(0), server_->implementation());
  EXPECT_THAT(info.instruction_set(),
              testing::AnyOf("avx512_amx", "avx512_bf16", "avx512", "avx2", "baseline"));
  EXPECT_THAT(Metrics(), HasSubstr("implementation=\"" + server_->implementation() + "\""));
}

TEST_F(AttentionServerTest, ComputesInTheDefaultPrecisionAndTellsIt) {
  ServerOptions options = OnFreePorts();
  options.default_precision = kernels::Precision::kBF16;
  Start(options);
  grpc::ClientContext info_context;
  v1::GetServerInfoResponse info;
  ASSERT_TRUE(stub_->GetServerInfo(&info_context, {}, &info).ok());
  EXPECT_EQ(info.default_precision(), v1::PRECISION_BF16);
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({32, 16});
  const auto ran = [&](v1::Precision precision) {
    request.mutable_options()->set_precision(precision);
    grpc::ClientContext context;
    v1::AttentionResponse response;
    const grpc::Status status = stub_->SelfAttention(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.execution().precision();
  };
  const std::string by_default = ran(v1::PRECISION_UNSPECIFIED);
  EXPECT_EQ(by_default, ran(v1::PRECISION_BF16)) << "which may be f32 on this machine";
  EXPECT_THAT(ran(v1::PRECISION_F32), testing::AnyOf("f32", "f64"));
}

TEST_F(AttentionServerTest, WarmsUpWithoutCountingItAsRequests) {
  ServerOptions options = OnFreePorts();
  options.warm_up.shapes = {{2, 1, 8, 16}};
  Start(options);
  EXPECT_EQ(Health(""), "SERVING");
  const std::string metrics = Metrics();
  EXPECT_THAT(metrics, HasSubstr("attention_queue_wait_seconds_count 0\n"));
  EXPECT_THAT(metrics, HasSubstr("attention_flops_total 0\n"));
  EXPECT_THAT(metrics, HasSubstr("attention_bytes_in_flight 0\n"));
}

TEST_F(AttentionServerTest, TellsEverybodyThatItIsDrainingAndGoesOnServing) {
  Start();
  EXPECT_THAT(HttpGet(server_->http_address(), "/readyz"), StartsWith("HTTP/1.1 200 "));
  for (const char* name : {"", "attention.v1.AttentionService", "readiness", "liveness"}) {
    EXPECT_EQ(Health(name), "SERVING") << name;
  }
  EXPECT_EQ(Health("nobody"), "service name unknown");
  server_->TurnNotServing();
  EXPECT_THAT(HttpGet(server_->http_address(), "/readyz"), StartsWith("HTTP/1.1 503 "));
  for (const char* name : {"", "attention.v1.AttentionService", "readiness"}) {
    EXPECT_EQ(Health(name), "NOT_SERVING") << name;
  }
  EXPECT_EQ(Health("liveness"), "SERVING");
  v1::SelfAttentionRequest request;
  *request.mutable_embeddings() = Zeros({3, 4});
  EXPECT_TRUE(Call("SelfAttention", request.SerializeAsString()).ok());
  server_->Shutdown();
  EXPECT_EQ(Call("SelfAttention", request.SerializeAsString()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(AttentionServerTest, DoesNotWaitForWhoeverWatchesItsHealth) {
  Start();
  grpc::ClientContext context;
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  const auto watch = stub.PrepareCall(&context, "/grpc.health.v1.Health/Watch", &queue);
  void* tag = nullptr;
  bool ok = false;
  watch->StartCall(nullptr);
  queue.Next(&tag, &ok);
  const grpc::Slice whole_server(std::string("\x0a\x00", 2));
  watch->Write(grpc::ByteBuffer(&whole_server, 1), nullptr);
  queue.Next(&tag, &ok);
  grpc::ByteBuffer update;
  watch->Read(&update, nullptr);
  queue.Next(&tag, &ok);
  EXPECT_TRUE(ok) << "the watch has begun";
  const auto begin = std::chrono::steady_clock::now();
  server_->Shutdown();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, OnFreePorts().drain_timeout / 3);
  while (ok) {  // the change to NOT_SERVING, and the end
    watch->Read(&update, nullptr);
    queue.Next(&tag, &ok);
  }
  grpc::Status status;
  watch->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
}

TEST_F(AttentionServerTest, OffersReflectionUnlessToldNotTo) {
  for (const bool reflection : {true, false}) {
    ServerOptions options = OnFreePorts();
    options.reflection = reflection;
    Start(options);
    grpc::ClientContext context;
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareCall(
        &context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
    void* tag = nullptr;
    bool ok = false;
    call->StartCall(nullptr);
    queue.Next(&tag, &ok);
    call->WritesDone(nullptr);
    queue.Next(&tag, &ok);
    grpc::Status status;
    call->Finish(&status, nullptr);
    queue.Next(&tag, &ok);
    EXPECT_EQ(status.error_code(),
              reflection ? grpc::StatusCode::OK : grpc::StatusCode::UNIMPLEMENTED);
  }
}

TEST_F(AttentionServerTest, SaysThatAnAddressIsTaken) {
  Start();
  ServerOptions options = OnFreePorts();
  options.grpc_address = server_->grpc_address();
  EXPECT_THAT(
      AttentionServer::Start(options, log_),
      test::StatusIs(absl::StatusCode::kUnavailable,
                     StartsWith("--grpc-address: cannot listen on " + options.grpc_address)));
}

TEST_F(AttentionServerTest, RefusesCompressedRequests) {
  Start();
  grpc::ClientContext context;
  context.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  const grpc::Status status = Call("SelfAttention", std::string(100'000, '\0'), &context);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(Metrics(), HasSubstr("attention_request_bytes_count 0\n")) << "it reached no method";
}

}  // namespace
}  // namespace attention::server
