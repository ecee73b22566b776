#include "client/attention_client.h"

#include <algorithm>
#include <random>
#include <string>
#include <utility>

#include "attention/v1/attention_service.grpc.pb.h"
#include "client/health.h"
#include "client/messages.h"

namespace attention::client {
namespace {

// The numbers of gRPC's codes and abseil's are the same by design.
absl::Status ToAbslStatus(const grpc::Status& status) {
  return {static_cast<absl::StatusCode>(status.error_code()), status.error_message()};
}

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

// `duration` after `now`, or the last point in time that the clock has; a negative one is over.
template <typename TimePoint, typename Duration>
TimePoint After(TimePoint now, Duration duration) {
  const Duration until_last = std::chrono::floor<Duration>(TimePoint::max() - now);
  if (duration >= until_last) return TimePoint::max();
  return now + std::max(duration, Duration::zero());
}

}  // namespace

class AttentionClient::Connection {
 public:
  using Stub = v1::AttentionService::Stub;
  template <typename Request, typename Response>
  using Method = grpc::Status (Stub::*)(grpc::ClientContext*, const Request&, Response*);

  Connection(std::shared_ptr<grpc::Channel> channel, const ClientOptions& options)
      : channel_(std::move(channel)),
        stub_(v1::AttentionService::NewStub(channel_)),
        options_(options) {}

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(Method<Request, Response> method, const Request& request) {
    const RetryClock::TimePoint deadline = After(options_.clock->Now(), options_.deadline);
    for (int attempt = 1;; ++attempt) {
      grpc::ClientContext context;
      SetDeadline(deadline - options_.clock->Now(), &context);
      Response response;
      const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
      if (status.ok()) return response;
      const auto wait =
          WaitBeforeRetry(Describe(status, attempt, context), options_.retry, Random());
      // A wait beyond the deadline could only turn a telling error into "deadline exceeded".
      if (!wait || options_.clock->Now() + *wait >= deadline) return ToAbslStatus(status);
      Pause(status, *wait);
    }
  }

  // From one of this library's requests to the result that belongs to it.
  template <typename Request, typename Message, typename Response>
  auto Compute(Method<Message, Response> method, const Request& request)
      -> decltype(FromMessage(std::declval<Response>())) {
    const absl::StatusOr<Message> message = ToMessage(request);
    if (!message.ok()) return message.status();
    absl::StatusOr<Response> response = Call(method, *message);
    if (!response.ok()) return response.status();
    return FromMessage(*std::move(response));
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
  const std::unique_ptr<Stub> stub_;
  const ClientOptions options_;
};

AttentionClient::AttentionClient(std::shared_ptr<grpc::Channel> channel,
                                 const ClientOptions& options)
    : connection_(std::make_unique<Connection>(std::move(channel), options)) {}

AttentionClient::~AttentionClient() = default;

absl::StatusOr<AttentionResult> AttentionClient::SelfAttention(
    const SelfAttentionRequest& request) {
  return connection_->Compute(&Connection::Stub::SelfAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::MaskedAttention(
    const MaskedAttentionRequest& request) {
  return connection_->Compute(&Connection::Stub::MaskedAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::MultiHeadAttention(
    const MultiHeadAttentionRequest& request) {
  return connection_->Compute(&Connection::Stub::MultiHeadAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::CrossAttention(
    const CrossAttentionRequest& request) {
  return connection_->Compute(&Connection::Stub::CrossAttention, request);
}

absl::StatusOr<AttentionResult> AttentionClient::ScaledDotProductAttention(
    const ScaledDotProductAttentionRequest& request) {
  return connection_->Compute(&Connection::Stub::ScaledDotProductAttention, request);
}

absl::StatusOr<RotaryEmbeddingResult> AttentionClient::ApplyRotaryEmbedding(
    const ApplyRotaryEmbeddingRequest& request) {
  return connection_->Compute(&Connection::Stub::ApplyRotaryEmbedding, request);
}

absl::StatusOr<MergedStateResult> AttentionClient::MergeAttentionStates(
    const MergeAttentionStatesRequest& request) {
  return connection_->Compute(&Connection::Stub::MergeAttentionStates, request);
}

absl::StatusOr<std::vector<LayerInfo>> AttentionClient::ListLayers() {
  const auto response = connection_->Call<v1::ListLayersRequest, v1::ListLayersResponse>(
      &Connection::Stub::ListLayers, {});
  if (!response.ok()) return response.status();
  std::vector<LayerInfo> layers;
  for (const v1::Layer& layer : response->layers()) layers.push_back(FromMessage(layer));
  return layers;
}

absl::StatusOr<LayerInfo> AttentionClient::GetLayer(std::string_view name) {
  v1::GetLayerRequest request;
  request.set_name(std::string(name));
  const auto response = connection_->Call<v1::GetLayerRequest, v1::GetLayerResponse>(
      &Connection::Stub::GetLayer, request);
  if (!response.ok()) return response.status();
  return FromMessage(response->layer());
}

absl::StatusOr<ServerInfo> AttentionClient::GetServerInfo() {
  const auto response = connection_->Call<v1::GetServerInfoRequest, v1::GetServerInfoResponse>(
      &Connection::Stub::GetServerInfo, {});
  if (!response.ok()) return response.status();
  return FromMessage(*response);
}

absl::StatusOr<ServingStatus> AttentionClient::CheckHealth(std::string_view service) {
  return connection_->CheckHealth(service);
}

}  // namespace attention::client
