// keras.layers.MultiHeadAttention and keras.layers.GroupQueryAttention as calls of attention.v1's
// MultiHeadAttention.
//
//   Keras                                    here becomes
//   query kernel [dim, heads, key_dim]       projections.query.weight [dim, heads * key_dim]: the
//     and bias [heads, key_dim]              same numbers in the same order
//   key, value kernels and biases            projections.key, value; their head count, smaller in
//                                            GroupQueryAttention, is key_value_head_count
//   output kernel [heads, value_dim, width]  projections.output [heads * value_dim, width]
//     and bias [width]
//   scale 1 / sqrt(key_dim)                  the default
//   call(query, value, key=value)            query, key, value
//   attention_mask [B, T, S], True = attend  boolean_mask [B, 1, T, S]
//   query_mask, value_mask, key_mask         anded with it as [B, 1, T, 1], [B, 1, 1, S] and
//                                            [B, 1, 1, S]; unlike in Attention, a query that
//                                            query_mask hides is one that sees no key
//   use_causal_mask                          causal, top-left
//   sliding_window=W: |i - j| < W            window of W - 1 to both sides, top-left
//   return_attention_scores                  return_weights: [B, heads, T, S]
//   a query that sees no key                 fully_masked uniform, or zeros where the scores are
//                                            returned, which is what Keras 3.15 does; choose where
//                                            another version or backend does otherwise
//
// attention_axes is the one default axis, dropout is 0, and layers with use_gate are not covered:
// the gate multiplies what is between attention and the output projection. Source:
// keras/src/layers/attention/{multi_head_attention,grouped_query_attention}.py of Keras 3.

#ifndef ATTENTION_CLIENT_ADAPTERS_KERAS_MULTI_HEAD_ATTENTION_H_
#define ATTENTION_CLIENT_ADAPTERS_KERAS_MULTI_HEAD_ATTENTION_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "client/adapters/tensor_operations.h"
#include "client/attention_client.h"

namespace attention::client {

struct KerasProjection {
  TensorRef kernel = {};
  std::optional<TensorRef> bias = {};  // absent: use_bias=False
};

// Both layers: they differ in nothing but the head counts that the kernels have.
struct KerasMultiHeadAttention {
  KerasProjection query = {};
  KerasProjection key = {};
  KerasProjection value = {};
  KerasProjection output = {};
  std::optional<int64_t> sliding_window = {};
  std::optional<FullyMaskedPolicy> fully_masked = {};  // absent: as Keras 3.15
};

// The arguments of call(), with Keras's defaults.
struct KerasMultiHeadCall {
  TensorRef query = {};               // [B, T, dim]
  TensorRef value = {};               // [B, S, dim]
  std::optional<TensorRef> key = {};  // [B, S, dim]; absent: value
  std::optional<TensorRef> query_mask = {};
  std::optional<TensorRef> value_mask = {};
  std::optional<TensorRef> key_mask = {};
  std::optional<TensorRef> attention_mask = {};
  bool return_attention_scores = false;
  bool use_causal_mask = false;
};

struct KerasMultiHeadResult {
  TensorValue output;                           // [B, T, width]
  std::optional<TensorValue> attention_scores;  // [B, heads, T, S]
  Execution execution;
};

// The request that call() comes to. It borrows from the layer and the call. INVALID_ARGUMENT,
// naming the argument, where shapes or types cannot be right.
[[nodiscard]] absl::StatusOr<AdaptedRequest<MultiHeadAttentionRequest>> KerasRequest(
    const KerasMultiHeadAttention& layer, const KerasMultiHeadCall& call);

// One call of the service.
[[nodiscard]] absl::StatusOr<KerasMultiHeadResult> CallKeras(const KerasMultiHeadAttention& layer,
                                                             const KerasMultiHeadCall& call,
                                                             AttentionClient* client);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ADAPTERS_KERAS_MULTI_HEAD_ATTENTION_H_
