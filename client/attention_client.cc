#include "client/attention_client.h"

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "attention/v1/attention_service.pb.h"
#include "client/grpc_values.h"
#include "client/health.h"
#include "client/messages.h"
#include "client/request_bytes.h"
#include "grpcpp/impl/client_unary_call.h"
#include "grpcpp/impl/codegen/proto_utils.h"
#include "grpcpp/impl/rpc_method.h"

namespace attention::client {
namespace {

constexpr char kSelfAttention[] = "/attention.v1.AttentionService/SelfAttention";
constexpr char kMaskedAttention[] = "/attention.v1.AttentionService/MaskedAttention";
constexpr char kMultiHeadAttention[] = "/attention.v1.AttentionService/MultiHeadAttention";
constexpr char kCrossAttention[] = "/attention.v1.AttentionService/CrossAttention";
constexpr char kScaledDotProductAttention[] =
    "/attention.v1.AttentionService/ScaledDotProductAttention";
constexpr char kApplyRotaryEmbedding[] = "/attention.v1.AttentionService/ApplyRotaryEmbedding";
constexpr char kMergeAttentionStates[] = "/attention.v1.AttentionService/MergeAttentionStates";
constexpr char kListLayers[] = "/attention.v1.AttentionService/ListLayers";
constexpr char kGetLayer[] = "/attention.v1.AttentionService/GetLayer";
constexpr char kGetServerInfo[] = "/attention.v1.AttentionService/GetServerInfo";

FailedAttempt Describe(const grpc::Status& status, int attempt,
                       const grpc::ClientContext& context) {
  FailedAttempt failed{.code = ToAbslStatus(status).code(), .attempt = attempt};
  const auto [first, last] = context.GetServerTrailingMetadata().equal_range(
      grpc::string_ref(kPushbackTrailer.data(), kPushbackTrailer.size()));
  for (auto trailer = first; trailer != last; ++trailer) {
    failed.pushbacks.emplace_back(trailer->second.data(), trailer->second.size());
  }
  return failed;
}

}  // namespace

class AttentionClient::Connection {
 public:
  Connection(std::shared_ptr<grpc::Channel> channel, const ClientOptions& options)
      : channel_(std::move(channel)), options_(options) {}

  // As the stub would that protoc makes, but for a request that is serialized already.
  template <typename Response>
  absl::StatusOr<Response> Call(const char* method_path, const grpc::ByteBuffer& request) {
    const grpc::internal::RpcMethod method(method_path, grpc::internal::RpcMethod::NORMAL_RPC);
    const RetryClock::TimePoint deadline = After(options_.clock->Now(), options_.deadline);
    for (int attempt = 1;; ++attempt) {
      grpc::ClientContext context;
      SetDeadline(deadline - options_.clock->Now(), &context);
      Response response;
      const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, Response>(
          channel_.get(), method, &context, request, &response);
      if (status.ok()) return response;
      const auto wait =
          WaitBeforeRetry(Describe(status, attempt, context), options_.retry, Random());
      // A wait beyond the deadline could only turn a telling error into "deadline exceeded".
      if (!wait || options_.clock->Now() + *wait >= deadline) return ToAbslStatus(status);
      Pause(status, *wait);
    }
  }

  // From one of this library's requests to the result that belongs to it.
  template <typename Response, typename Request>
  auto Compute(const char* method_path, const Request& request)
      -> decltype(FromMessage(std::declval<Response>())) {
    const absl::StatusOr<grpc::ByteBuffer> bytes = ToBytes(request);
    if (!bytes.ok()) return bytes.status();
    absl::StatusOr<Response> response = Call<Response>(method_path, *bytes);
    if (!response.ok()) return response.status();
    return FromMessage(*std::move(response));
  }

  [[nodiscard]] std::unique_ptr<DecodingSession> StartDecoding() const {
    return std::make_unique<DecodingSession>(channel_, options_.deadline);
  }

  absl::StatusOr<ServingStatus> CheckHealth(std::string_view service) {
    grpc::ClientContext context;
    SetDeadline(options_.deadline, &context);
    ServingStatus answer{};
    const grpc::Status status = CheckServingStatus(channel_, service, &context, &answer);
    if (!status.ok()) return ToAbslStatus(status);
    return answer;
  }

 private:
  // gRPC's blocking calls poll the network only while they last. Between them nobody would, and a
  // connection that is being made anew would stay unmade until the next attempt had failed for want
  // of it: where there is none, this polls.
  void Pause(const grpc::Status& status, std::chrono::milliseconds wait) {
    const RetryClock::TimePoint end = After(options_.clock->Now(), wait);
    if (status.error_code() == grpc::StatusCode::UNAVAILABLE) {
      (void)channel_->WaitForConnected(After(std::chrono::system_clock::now(), wait));
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - options_.clock->Now());
    if (left > std::chrono::milliseconds::zero()) options_.clock->SleepFor(left);
  }

  template <typename Duration>
  static void SetDeadline(Duration remaining, grpc::ClientContext* context) {
    context->set_deadline(After(std::chrono::system_clock::now(), remaining));
  }

  static double Random() {
    thread_local std::minstd_rand generator{std::random_device{}()};
    return std::uniform_real_distribution<double>(0, 1)(generator);
  }

  const std::shared_ptr<grpc::Channel> channel_;
  const ClientOptions options_;
};

AttentionClient::AttentionClient(std::shared_ptr<grpc::Channel> channel,
                                 const ClientOptions& options)
    : connection_(std::make_unique<Connection>(std::move(channel), options)) {}

AttentionClient::~AttentionClient() = default;

absl::StatusOr<AttentionResult> AttentionClient::SelfAttention(
    const SelfAttentionRequest& request) {
  return connection_->Compute<v1::AttentionResponse>(kSelfAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::MaskedAttention(
    const MaskedAttentionRequest& request) {
  return connection_->Compute<v1::AttentionResponse>(kMaskedAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::MultiHeadAttention(
    const MultiHeadAttentionRequest& request) {
  return connection_->Compute<v1::AttentionResponse>(kMultiHeadAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::CrossAttention(
    const CrossAttentionRequest& request) {
  return connection_->Compute<v1::AttentionResponse>(kCrossAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::ScaledDotProductAttention(
    const ScaledDotProductAttentionRequest& request) {
  return connection_->Compute<v1::AttentionResponse>(kScaledDotProductAttention, request);
}

std::unique_ptr<DecodingSession> AttentionClient::StartDecoding() {
  return connection_->StartDecoding();
}

absl::StatusOr<RotaryEmbeddingResult> AttentionClient::ApplyRotaryEmbedding(
    const ApplyRotaryEmbeddingRequest& request) {
  return connection_->Compute<v1::ApplyRotaryEmbeddingResponse>(kApplyRotaryEmbedding, request);
}

absl::StatusOr<MergedStateResult> AttentionClient::MergeAttentionStates(
    const MergeAttentionStatesRequest& request) {
  return connection_->Compute<v1::MergeAttentionStatesResponse>(kMergeAttentionStates, request);
}

absl::StatusOr<std::vector<LayerInfo>> AttentionClient::ListLayers() {
  const auto response = connection_->Call<v1::ListLayersResponse>(
      kListLayers, RequestBytes(v1::ListLayersRequest(), {}));
  if (!response.ok()) return response.status();
  std::vector<LayerInfo> layers;
  for (const v1::Layer& layer : response->layers()) layers.push_back(FromMessage(layer));
  return layers;
}

absl::StatusOr<LayerInfo> AttentionClient::GetLayer(std::string_view name) {
  v1::GetLayerRequest request;
  request.set_name(std::string(name));
  const auto response =
      connection_->Call<v1::GetLayerResponse>(kGetLayer, RequestBytes(request, {}));
  if (!response.ok()) return response.status();
  return FromMessage(response->layer());
}

absl::StatusOr<ServerInfo> AttentionClient::GetServerInfo() {
  const auto response = connection_->Call<v1::GetServerInfoResponse>(
      kGetServerInfo, RequestBytes(v1::GetServerInfoRequest(), {}));
  if (!response.ok()) return response.status();
  return FromMessage(*response);
}

absl::StatusOr<ServingStatus> AttentionClient::CheckHealth(std::string_view service) {
  return connection_->CheckHealth(service);
}

}  // namespace attention::client
