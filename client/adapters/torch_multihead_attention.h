// torch.nn.MultiheadAttention as a call of attention.v1's MultiHeadAttention.
//
//   PyTorch                                  here becomes
//   in_proj_weight [3 E, E], rows q, k, v    projections.query, key, value: each third transposed,
//                                            since PyTorch computes y = x W^T
//   q_proj_weight [E, E], k_proj_weight      the same three, where kdim or vdim differ from E
//     [E, kdim], v_proj_weight [E, vdim]
//   in_proj_bias [3 E]                       their biases
//   out_proj.weight [E, E], out_proj.bias    projections.output, transposed
//   bias_k, bias_v [1, 1, E]                 projections.appended_key, appended_value: one more
//                                            key, which masks are widened to let through
//   num_heads                                head_count; scale stays 1 / sqrt(E / num_heads)
//   batch_first=False: [L, N, E]             batch and sequence exchanged, in the answer, too
//   no batch: [L, E]                         no batch
//   attn_mask bool, True = hide              boolean_mask, inverted
//   attn_mask float                          additive_mask
//   attn_mask [N num_heads, L, S]            [N, num_heads, L, S]; [L, S] broadcasts
//   key_padding_mask bool, True = hide       boolean_mask [N, 1, 1, S], inverted; beside a boolean
//                                            attn_mask an additive_mask of -infinity
//   key_padding_mask float                   additive_mask [N, 1, 1, S], added to a float attn_mask
//   add_zero_attn=True                       sinks of logit 0 for each head: a key of zeros has
//                                            score 0, and its value of zeros adds nothing; its
//                                            column of the weights is e^(0 - log_sum_exp)
//   need_weights=True                        return_weights; a fully masked query is NaN
//   need_weights=False                       a fully masked query attends to nothing: zeros before
//                                            the output projection
//   average_attn_weights=True                the mean over heads, made here in float64
//   is_causal=True                           a hint, never without attn_mask; where PyTorch takes
//                                            it instead of the mask (no key_padding_mask, no
//                                            weights), causal top-left instead of the mask; with
//                                            bias_k, which the hint would hide, always the mask
//
// dropout is 0, as in evaluation. Source: torch/nn/functional.py, multi_head_attention_forward of
// PyTorch 2; its fast path for inference computes the same with other roundings.

#ifndef ATTENTION_CLIENT_ADAPTERS_TORCH_MULTIHEAD_ATTENTION_H_
#define ATTENTION_CLIENT_ADAPTERS_TORCH_MULTIHEAD_ATTENTION_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "client/adapters/tensor_operations.h"
#include "client/attention_client.h"

namespace attention::client {

// The module's arguments and its state_dict, under PyTorch's names.
struct TorchMultiheadParameters {
  int32_t num_heads = 1;
  bool batch_first = false;
  bool add_zero_attn = false;

  // Either in_proj_weight or the other three.
  std::optional<TensorRef> in_proj_weight = {};
  std::optional<TensorRef> q_proj_weight = {};
  std::optional<TensorRef> k_proj_weight = {};
  std::optional<TensorRef> v_proj_weight = {};
  std::optional<TensorRef> in_proj_bias = {};
  std::optional<TensorRef> bias_k = {};  // both or neither
  std::optional<TensorRef> bias_v = {};
  TensorRef out_proj_weight = {};
  std::optional<TensorRef> out_proj_bias = {};
};

// The arguments of forward(), with PyTorch's defaults.
struct TorchMultiheadCall {
  TensorRef query = {};
  TensorRef key = {};
  TensorRef value = {};
  std::optional<TensorRef> key_padding_mask = {};
  bool need_weights = true;
  std::optional<TensorRef> attn_mask = {};
  bool average_attn_weights = true;
  bool is_causal = false;
};

struct TorchMultiheadResult {
  TensorValue output;                  // attn_output: [L, N, E], [N, L, E] or [L, E]
  std::optional<TensorValue> weights;  // [N, L, S] or, not averaged, [N, num_heads, L, S], where S
                                       // counts the keys that bias_k and add_zero_attn add
  Execution execution;
};

// A module ready to be called: its weights are transposed once. Thread safe.
class TorchMultiheadAttention {
 public:
  // Copies the parameters. INVALID_ARGUMENT, naming the parameter and both extents, where they
  // contradict each other.
  [[nodiscard]] static absl::StatusOr<TorchMultiheadAttention> Create(
      const TorchMultiheadParameters& parameters);

  // The request that forward() comes to. It borrows from the call and from this module.
  // INVALID_ARGUMENT where PyTorch would refuse.
  [[nodiscard]] absl::StatusOr<AdaptedRequest<MultiHeadAttentionRequest>> Request(
      const TorchMultiheadCall& call) const;

  // The answer to that request, as PyTorch returns it.
  [[nodiscard]] absl::StatusOr<TorchMultiheadResult> Result(const TorchMultiheadCall& call,
                                                            AttentionResult answer) const;

  // One call of the service.
  [[nodiscard]] absl::StatusOr<TorchMultiheadResult> Forward(const TorchMultiheadCall& call,
                                                             AttentionClient* client) const;

 private:
  TorchMultiheadAttention() = default;

  absl::Status TakeWeights(const TorchMultiheadParameters& parameters);
  absl::Status TakeBiases(const TorchMultiheadParameters& parameters);
  absl::Status AddMasks(const TorchMultiheadCall& call,
                        AdaptedRequest<MultiHeadAttentionRequest>* adapted) const;

  int32_t num_heads_ = 1;
  bool batch_first_ = false;
  bool add_zero_attn_ = false;
  int64_t embed_dim_ = 0;

  // [in, out], as the service wants them.
  TensorValue query_weight_;
  TensorValue key_weight_;
  TensorValue value_weight_;
  TensorValue output_weight_;
  std::optional<TensorValue> in_proj_bias_;
  std::optional<TensorValue> output_bias_;
  std::optional<TensorValue> appended_key_;
  std::optional<TensorValue> appended_value_;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ADAPTERS_TORCH_MULTIHEAD_ATTENTION_H_
