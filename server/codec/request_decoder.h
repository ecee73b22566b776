// From a request's bytes to the task that it asks for.

#ifndef ATTENTION_SERVER_CODEC_REQUEST_DECODER_H_
#define ATTENTION_SERVER_CODEC_REQUEST_DECODER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "attention/v1/attention_service.pb.h"
#include "kernels/attend.h"
#include "server/codec/decoded_request.h"
#include "server/codec/stream_codec.h"
#include "server/core/layer.h"
#include "server/core/service_metrics.h"

namespace attention::server {

// What this server does where a request does not say, and what it has for requests to name.
struct RequestDefaults {
  kernels::Precision precision = kernels::Precision::kF32;
  std::shared_ptr<const LayerSet> layers = nullptr;  // null: none
};

// One decoder for each method. The message must outlive the result. Errors: kInvalidArgument for
// everything that the comments of proto/attention/v1 refuse, with the field's path; kNotFound for a
// layer that there is not. May throw std::bad_alloc.
[[nodiscard]] absl::StatusOr<DecodedRequest> DecodeRequest(const v1::SelfAttentionRequest& request,
                                                           const RequestDefaults& defaults = {});
[[nodiscard]] absl::StatusOr<DecodedRequest> DecodeRequest(
    const v1::MaskedAttentionRequest& request, const RequestDefaults& defaults = {});
[[nodiscard]] absl::StatusOr<DecodedRequest> DecodeRequest(
    const v1::MultiHeadAttentionRequest& request, const RequestDefaults& defaults = {});
[[nodiscard]] absl::StatusOr<DecodedRequest> DecodeRequest(const v1::CrossAttentionRequest& request,
                                                           const RequestDefaults& defaults = {});
[[nodiscard]] absl::StatusOr<DecodedRequest> DecodeRequest(
    const v1::ScaledDotProductAttentionRequest& request, const RequestDefaults& defaults = {});

// A request of DecodeAttention. The task has no memory for keys and values before stream.added is
// in the cache.
[[nodiscard]] absl::StatusOr<DecodedRequest> DecodeStreamedRequest(
    const v1::ScaledDotProductAttentionRequest& request, StreamDecoding& stream,
    const RequestDefaults& defaults = {});

[[nodiscard]] absl::StatusOr<DecodedRotaryEmbedding> DecodeRequest(
    const v1::ApplyRotaryEmbeddingRequest& request);
[[nodiscard]] absl::StatusOr<DecodedMerge> DecodeRequest(
    const v1::MergeAttentionStatesRequest& request);

// An empty request message of a method, and the decoder that fits it; kDecodeAttention needs a
// stream.
[[nodiscard]] std::unique_ptr<google::protobuf::Message> NewRequestMessage(Method method);
[[nodiscard]] absl::StatusOr<DecodedCall> DecodeRequestOf(Method method,
                                                          const google::protobuf::Message& message,
                                                          const RequestDefaults& defaults = {},
                                                          StreamDecoding* stream = nullptr);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_REQUEST_DECODER_H_
