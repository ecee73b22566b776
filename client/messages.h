// Between this library's structs and the messages of attention.v1. Pure: no connection, no clock.

#ifndef ATTENTION_CLIENT_MESSAGES_H_
#define ATTENTION_CLIENT_MESSAGES_H_

#include <vector>

#include "absl/status/statusor.h"
#include "attention/v1/attention_service.pb.h"
#include "client/request_bytes.h"
#include "client/requests.h"
#include "client/results.h"

namespace attention::client {

// Requests copy the borrowed elements, but for those that MessageFiller adds to `large`. Naming the
// field, INVALID_ARGUMENT where a tensor's bytes do not fit its shape and RESOURCE_EXHAUSTED where
// all tensors have more bytes than any message can hold, about 2 GiB; everything else is left for
// the server to judge.
[[nodiscard]] absl::StatusOr<v1::SelfAttentionRequest> ToMessage(
    const SelfAttentionRequest& request, std::vector<LargeTensor>* large = nullptr);
[[nodiscard]] absl::StatusOr<v1::MaskedAttentionRequest> ToMessage(
    const MaskedAttentionRequest& request, std::vector<LargeTensor>* large = nullptr);
[[nodiscard]] absl::StatusOr<v1::MultiHeadAttentionRequest> ToMessage(
    const MultiHeadAttentionRequest& request, std::vector<LargeTensor>* large = nullptr);
[[nodiscard]] absl::StatusOr<v1::CrossAttentionRequest> ToMessage(
    const CrossAttentionRequest& request, std::vector<LargeTensor>* large = nullptr);
[[nodiscard]] absl::StatusOr<v1::ScaledDotProductAttentionRequest> ToMessage(
    const ScaledDotProductAttentionRequest& request, std::vector<LargeTensor>* large = nullptr);
[[nodiscard]] absl::StatusOr<v1::ApplyRotaryEmbeddingRequest> ToMessage(
    const ApplyRotaryEmbeddingRequest& request, std::vector<LargeTensor>* large = nullptr);
[[nodiscard]] absl::StatusOr<v1::MergeAttentionStatesRequest> ToMessage(
    const MergeAttentionStatesRequest& request, std::vector<LargeTensor>* large = nullptr);

// A request as it is sent. Errors as above.
template <typename Request>
[[nodiscard]] absl::StatusOr<grpc::ByteBuffer> ToBytes(const Request& request) {
  std::vector<LargeTensor> large;
  const auto message = ToMessage(request, &large);
  if (!message.ok()) return message.status();
  return RequestBytes(*message, large);
}

// Answers are consumed, so that their elements need not be copied. INTERNAL if an answer
// contradicts itself: a tensor's bytes and its shape, or the shapes of tensors that tell of the
// same queries or keys.
[[nodiscard]] absl::StatusOr<AttentionResult> FromMessage(v1::AttentionResponse response);
[[nodiscard]] absl::StatusOr<RotaryEmbeddingResult> FromMessage(
    v1::ApplyRotaryEmbeddingResponse response);
[[nodiscard]] absl::StatusOr<MergedStateResult> FromMessage(
    v1::MergeAttentionStatesResponse response);
[[nodiscard]] ServerInfo FromMessage(const v1::GetServerInfoResponse& response);
[[nodiscard]] LayerInfo FromMessage(const v1::Layer& layer);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_MESSAGES_H_
