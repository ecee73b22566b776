#include "server/core/service_metrics.h"

namespace attention::server {

std::string_view Name(Method method) {
  switch (method) {
    case Method::kSelfAttention:
      return "SelfAttention";
    case Method::kMaskedAttention:
      return "MaskedAttention";
    case Method::kMultiHeadAttention:
      return "MultiHeadAttention";
    case Method::kCrossAttention:
      return "CrossAttention";
    case Method::kScaledDotProductAttention:
      return "ScaledDotProductAttention";
    case Method::kDecodeAttention:
      return "DecodeAttention";
    case Method::kApplyRotaryEmbedding:
      return "ApplyRotaryEmbedding";
    case Method::kMergeAttentionStates:
      return "MergeAttentionStates";
  }
  return "unknown";
}

std::string_view Name(Rejection rejection) {
  switch (rejection) {
    case Rejection::kMalformed:
      return "malformed";
    case Rejection::kInvalid:
      return "invalid";
    case Rejection::kUnknownField:
      return "unknown_field";
    case Rejection::kOverLimit:
      return "over_limit";
    case Rejection::kBytesInFlight:
      return "bytes_in_flight";
    case Rejection::kQueueFull:
      return "queue_full";
    case Rejection::kCacheFull:
      return "cache_full";
    case Rejection::kDraining:
      return "draining";
  }
  return "unknown";
}

}  // namespace attention::server
