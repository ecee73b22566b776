#include "server/codec/request_decoder.h"

#include "server/codec/embedding_decoder.h"
#include "server/codec/field_error.h"
#include "server/codec/mask_codec.h"
#include "server/codec/merge_decoder.h"
#include "server/codec/ready_decoder.h"
#include "server/codec/rotary_decoder.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// A request of which only the defaults are known.
DecodedRequest Undecided(const RequestDefaults& defaults) {
  DecodedRequest decoded;
  decoded.task.options.precision = defaults.precision;
  return decoded;
}

template <typename Request>
const v1::Projections* ProjectionsOf(const Request& request) {
  return request.has_projections() ? &request.projections() : nullptr;
}

// SelfAttention and MaskedAttention take the same fields.
template <typename Request>
absl::StatusOr<DecodedRequest> DecodeSelf(const Request& request, const RequestDefaults& defaults) {
  DecodedRequest decoded = Undecided(defaults);
  TensorReader reader(decoded.storage);
  ATTENTION_ASSIGN_OR_RETURN(
      const Embeddings embeddings,
      ReadEmbeddings(request.has_embeddings(), request.embeddings(), "embeddings", reader));
  const EmbeddingRequest fields = {.query = embeddings,
                                   .key = embeddings,
                                   .value = embeddings,
                                   .projections = ProjectionsOf(request),
                                   .head_count = request.head_count(),
                                   .options = request.options(),
                                   .layer = request.layer(),
                                   .layers = defaults.layers.get()};
  ATTENTION_RETURN_IF_ERROR(DecodeEmbeddingRequest(fields, reader, decoded));
  return decoded;
}

}  // namespace

absl::StatusOr<DecodedRequest> DecodeRequest(const v1::SelfAttentionRequest& request,
                                             const RequestDefaults& defaults) {
  return DecodeSelf(request, defaults);
}

absl::StatusOr<DecodedRequest> DecodeRequest(const v1::MaskedAttentionRequest& request,
                                             const RequestDefaults& defaults) {
  if (!HidesKeys(request.options())) {
    return FieldError(
        "options", "no mask",
        "boolean_mask, additive_mask, multiplicative_mask, block_mask, causal, window, "
        "query_segments or key_lengths");
  }
  return DecodeSelf(request, defaults);
}

absl::StatusOr<DecodedRequest> DecodeRequest(const v1::MultiHeadAttentionRequest& request,
                                             const RequestDefaults& defaults) {
  DecodedRequest decoded = Undecided(defaults);
  TensorReader reader(decoded.storage);
  ATTENTION_ASSIGN_OR_RETURN(const Embeddings query,
                             ReadEmbeddings(request.has_query(), request.query(), "query", reader));
  Embeddings key = query;
  if (request.has_key()) {
    ATTENTION_ASSIGN_OR_RETURN(key, ReadEmbeddings(true, request.key(), "key", reader));
  }
  Embeddings value = key;
  if (request.has_value()) {
    ATTENTION_ASSIGN_OR_RETURN(value, ReadEmbeddings(true, request.value(), "value", reader));
  }
  const EmbeddingRequest fields = {.query = query,
                                   .key = key,
                                   .value = value,
                                   .projections = ProjectionsOf(request),
                                   .head_count = request.head_count(),
                                   .key_value_head_count = request.key_value_head_count(),
                                   .options = request.options(),
                                   .layer = request.layer(),
                                   .layers = defaults.layers.get()};
  ATTENTION_RETURN_IF_ERROR(DecodeEmbeddingRequest(fields, reader, decoded));
  return decoded;
}

absl::StatusOr<DecodedRequest> DecodeRequest(const v1::CrossAttentionRequest& request,
                                             const RequestDefaults& defaults) {
  DecodedRequest decoded = Undecided(defaults);
  TensorReader reader(decoded.storage);
  ATTENTION_ASSIGN_OR_RETURN(const Embeddings query, ReadEmbeddings(request.has_query_embeddings(),
                                                                    request.query_embeddings(),
                                                                    "query_embeddings", reader));
  ATTENTION_ASSIGN_OR_RETURN(
      const Embeddings memory,
      ReadEmbeddings(request.has_memory_embeddings(), request.memory_embeddings(),
                     "memory_embeddings", reader));
  const EmbeddingRequest fields = {.query = query,
                                   .key = memory,
                                   .value = memory,
                                   .projections = ProjectionsOf(request),
                                   .head_count = request.head_count(),
                                   .options = request.options(),
                                   .layer = request.layer(),
                                   .layers = defaults.layers.get()};
  ATTENTION_RETURN_IF_ERROR(DecodeEmbeddingRequest(fields, reader, decoded));
  return decoded;
}

absl::StatusOr<DecodedRequest> DecodeRequest(const v1::ScaledDotProductAttentionRequest& request,
                                             const RequestDefaults& defaults) {
  DecodedRequest decoded = Undecided(defaults);
  TensorReader reader(decoded.storage);
  ATTENTION_RETURN_IF_ERROR(DecodeReadyRequest(request, reader, decoded));
  return decoded;
}

absl::StatusOr<DecodedRequest> DecodeStreamedRequest(
    const v1::ScaledDotProductAttentionRequest& request, StreamDecoding& stream,
    const RequestDefaults& defaults) {
  DecodedRequest decoded = Undecided(defaults);
  TensorReader reader(decoded.storage);
  ATTENTION_RETURN_IF_ERROR(DecodeReadyRequest(request, reader, decoded, &stream));
  return decoded;
}

absl::StatusOr<DecodedRotaryEmbedding> DecodeRequest(
    const v1::ApplyRotaryEmbeddingRequest& request) {
  DecodedRotaryEmbedding decoded;
  TensorReader reader(decoded.storage);
  ATTENTION_RETURN_IF_ERROR(DecodeRotaryRequest(request, reader, decoded));
  return decoded;
}

absl::StatusOr<DecodedMerge> DecodeRequest(const v1::MergeAttentionStatesRequest& request) {
  DecodedMerge decoded;
  TensorReader reader(decoded.storage);
  ATTENTION_RETURN_IF_ERROR(DecodeMergeRequest(request, reader, decoded));
  return decoded;
}

std::unique_ptr<google::protobuf::Message> NewRequestMessage(Method method) {
  switch (method) {
    case Method::kSelfAttention:
      return std::make_unique<v1::SelfAttentionRequest>();
    case Method::kMaskedAttention:
      return std::make_unique<v1::MaskedAttentionRequest>();
    case Method::kMultiHeadAttention:
      return std::make_unique<v1::MultiHeadAttentionRequest>();
    case Method::kCrossAttention:
      return std::make_unique<v1::CrossAttentionRequest>();
    case Method::kScaledDotProductAttention:
    case Method::kDecodeAttention:
      return std::make_unique<v1::ScaledDotProductAttentionRequest>();
    case Method::kApplyRotaryEmbedding:
      return std::make_unique<v1::ApplyRotaryEmbeddingRequest>();
    case Method::kMergeAttentionStates:
      return std::make_unique<v1::MergeAttentionStatesRequest>();
  }
  return nullptr;
}

absl::StatusOr<DecodedCall> DecodeRequestOf(Method method, const google::protobuf::Message& message,
                                            const RequestDefaults& defaults,
                                            StreamDecoding* stream) {
  switch (method) {
    case Method::kSelfAttention:
      return DecodeRequest(static_cast<const v1::SelfAttentionRequest&>(message), defaults);
    case Method::kMaskedAttention:
      return DecodeRequest(static_cast<const v1::MaskedAttentionRequest&>(message), defaults);
    case Method::kMultiHeadAttention:
      return DecodeRequest(static_cast<const v1::MultiHeadAttentionRequest&>(message), defaults);
    case Method::kCrossAttention:
      return DecodeRequest(static_cast<const v1::CrossAttentionRequest&>(message), defaults);
    case Method::kScaledDotProductAttention:
      return DecodeRequest(static_cast<const v1::ScaledDotProductAttentionRequest&>(message),
                           defaults);
    case Method::kDecodeAttention:
      return DecodeStreamedRequest(
          static_cast<const v1::ScaledDotProductAttentionRequest&>(message), *stream, defaults);
    case Method::kApplyRotaryEmbedding:
      return DecodeRequest(static_cast<const v1::ApplyRotaryEmbeddingRequest&>(message));
    case Method::kMergeAttentionStates:
      return DecodeRequest(static_cast<const v1::MergeAttentionStatesRequest&>(message));
  }
  return absl::InternalError("no such method");
}

}  // namespace attention::server
