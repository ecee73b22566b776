// The attention service as C++ calls.
//
//   AttentionClient client(MakeChannel("127.0.0.1:8001"));
//   const std::vector<float> words = {1, 0, 0, 1};
//   auto result = client.SelfAttention({.embeddings = TensorRef(words, {2, 2})});
//   if (result.ok()) { auto output = result->output.As<float>(); ... }
//
// Calls block until they are answered or their deadline has passed. A call that the server could
// not take is tried again as retry.h says, always within the one deadline; attention changes
// nothing on the server, so a repeated call is harmless. Errors carry the server's status code and
// message. From this library may come INVALID_ARGUMENT for a tensor whose bytes do not fit its
// shape, RESOURCE_EXHAUSTED for a message above ChannelOptions::max_message_bytes or 2 GiB, and
// INTERNAL for an answer that contradicts itself.
//
// The elements of large tensors are copied once, into memory that the process keeps for its next
// calls, 64 MiB at most.
//
// Thread safety: all methods may be called from many threads at once. Requests, and the elements
// they borrow, are only read.

#ifndef ATTENTION_CLIENT_ATTENTION_CLIENT_H_
#define ATTENTION_CLIENT_ATTENTION_CLIENT_H_

#include <chrono>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/channel.h"
#include "client/decoding_session.h"
#include "client/requests.h"
#include "client/results.h"
#include "client/retry.h"

namespace attention::client {

struct ClientOptions {
  // Of one call, with all its attempts and the waits between them.
  std::chrono::milliseconds deadline{60'000};
  RetryOptions retry = {};

  // Not owned; outlives the client.
  RetryClock* clock = RetryClock::Real();
};

class AttentionClient {
 public:
  explicit AttentionClient(std::shared_ptr<grpc::Channel> channel,
                           const ClientOptions& options = {});
  ~AttentionClient();

  AttentionClient(const AttentionClient&) = delete;
  AttentionClient& operator=(const AttentionClient&) = delete;

  [[nodiscard]] absl::StatusOr<AttentionResult> SelfAttention(const SelfAttentionRequest& request);
  [[nodiscard]] absl::StatusOr<AttentionResult> MaskedAttention(
      const MaskedAttentionRequest& request);
  [[nodiscard]] absl::StatusOr<AttentionResult> MultiHeadAttention(
      const MultiHeadAttentionRequest& request);
  [[nodiscard]] absl::StatusOr<AttentionResult> CrossAttention(
      const CrossAttentionRequest& request);
  [[nodiscard]] absl::StatusOr<AttentionResult> ScaledDotProductAttention(
      const ScaledDotProductAttentionRequest& request);

  // See decoding_session.h. Connects at the first request; may outlive the client.
  [[nodiscard]] std::unique_ptr<DecodingSession> StartDecoding();

  [[nodiscard]] absl::StatusOr<RotaryEmbeddingResult> ApplyRotaryEmbedding(
      const ApplyRotaryEmbeddingRequest& request);
  [[nodiscard]] absl::StatusOr<MergedStateResult> MergeAttentionStates(
      const MergeAttentionStatesRequest& request);

  // The layers that requests can name, by name.
  [[nodiscard]] absl::StatusOr<std::vector<LayerInfo>> ListLayers();

  // NOT_FOUND if the server has no such layer.
  [[nodiscard]] absl::StatusOr<LayerInfo> GetLayer(std::string_view name);

  [[nodiscard]] absl::StatusOr<ServerInfo> GetServerInfo();

  // grpc.health.v1 Check; an empty name asks about the whole server. One attempt: who asks wants to
  // know now. NOT_FOUND if the server has no such service.
  [[nodiscard]] absl::StatusOr<ServingStatus> CheckHealth(std::string_view service = {});

 private:
  class Connection;
  const std::unique_ptr<Connection> connection_;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTENTION_CLIENT_H_
