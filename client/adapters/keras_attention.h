// keras.layers.Attention and keras.layers.AdditiveAttention as calls of attention.v1's
// ScaledDotProductAttention, one head, layout packed: [batch, sequence, width].
//
//   Keras                                    here becomes
//   inputs [query, value, key=value]         query, key, value
//   score_mode "dot"                         the dot product with scale 1 (not 1 / sqrt(width)), or
//                                            with the learned scalar of use_scale=True
//   score_mode "concat"                      the additive score, all of whose hidden numbers weigh
//     concat_score_weight * sum of           concat_score_weight: query_weight = key_weight =
//     tanh(scale * (q + k))                  scale * identity
//   AdditiveAttention                        the additive score with identities and the vector
//     sum of scale[d] * tanh(q[d] + k[d])    scale, or ones with use_scale=False
//   value_mask, True = attend                boolean_mask [batch, 1, 1, keys]
//   use_causal_mask                          causal, top-left
//   query_mask                               rows of the output turned to zeros, here, afterwards
//   return_attention_scores                  return_weights: [batch, queries, keys]
//   a query that sees no key                 fully_masked uniform. Keras subtracts 10^9 from hidden
//                                            scores (65504 in float16), beside which scores below
//                                            about 32 vanish in float32
//
// dropout is 0, as in inference. Source:
// keras/src/layers/attention/{attention,additive_attention}.py of Keras 3.

#ifndef ATTENTION_CLIENT_ADAPTERS_KERAS_ATTENTION_H_
#define ATTENTION_CLIENT_ADAPTERS_KERAS_ATTENTION_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "client/adapters/tensor_operations.h"
#include "client/attention_client.h"

namespace attention::client {

struct KerasAttention {
  enum class ScoreMode : uint8_t { kDot, kConcat };
  ScoreMode score_mode = ScoreMode::kDot;
  std::optional<double> scale = {};  // the weight of use_scale=True
  double concat_score_weight = 1.0;  // read with kConcat alone
};

struct KerasAdditiveAttention {
  std::optional<TensorRef> scale = {};  // [width], the weight of use_scale=True
};

// The arguments of call(), with Keras's defaults.
struct KerasAttentionCall {
  TensorRef query = {};                      // [batch, queries, width]
  TensorRef value = {};                      // [batch, keys, value width]
  std::optional<TensorRef> key = {};         // [batch, keys, width]; absent: value
  std::optional<TensorRef> query_mask = {};  // kBool [batch, queries]
  std::optional<TensorRef> value_mask = {};  // kBool [batch, keys]
  bool return_attention_scores = false;
  bool use_causal_mask = false;
};

struct KerasAttentionResult {
  TensorValue output;
  std::optional<TensorValue> attention_scores;
  Execution execution;
};

// The request that call() comes to. It borrows from the layer and the call. INVALID_ARGUMENT,
// naming the argument, where shapes or types cannot be right.
[[nodiscard]] absl::StatusOr<AdaptedRequest<ScaledDotProductAttentionRequest>> KerasRequest(
    const KerasAttention& layer, const KerasAttentionCall& call);
[[nodiscard]] absl::StatusOr<AdaptedRequest<ScaledDotProductAttentionRequest>> KerasRequest(
    const KerasAdditiveAttention& layer, const KerasAttentionCall& call);

// The answer to either, as Keras returns it.
[[nodiscard]] absl::StatusOr<KerasAttentionResult> KerasResult(const KerasAttentionCall& call,
                                                               AttentionResult answer);

// One call of the service. `Layer` is KerasAttention or KerasAdditiveAttention.
template <typename Layer>
[[nodiscard]] absl::StatusOr<KerasAttentionResult> CallKeras(const Layer& layer,
                                                             const KerasAttentionCall& call,
                                                             AttentionClient* client) {
  const auto adapted = KerasRequest(layer, call);
  if (!adapted.ok()) return adapted.status();
  absl::StatusOr<AttentionResult> answer = client->ScaledDotProductAttention(adapted->request);
  if (!answer.ok()) return answer.status();
  return KerasResult(call, *std::move(answer));
}

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ADAPTERS_KERAS_ATTENTION_H_
