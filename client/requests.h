// What can be asked of the service, as plain structs. Each mirrors one request of attention.v1,
// whose comments (proto/attention/v1) are the contract: shapes, defaults, limits, errors. Tensors
// are borrowed: they must live until the call returns. An empty optional means "not given", with
// the service's documented default. Every field has an initializer, so that designated initializers
// can name just those that matter.

#ifndef ATTENTION_CLIENT_REQUESTS_H_
#define ATTENTION_CLIENT_REQUESTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/attention_options.h"
#include "client/tensor.h"

namespace attention::client {

// y = x weight + bias
struct Projection {
  TensorRef weight = {};
  std::optional<TensorRef> bias = {};
};

// The linear maps around attention; an absent one is the identity.
struct Projections {
  std::optional<Projection> query = {};
  std::optional<Projection> key = {};
  std::optional<Projection> value = {};
  std::optional<Projection> output = {};

  // One more key and value after the projected ones; both or neither.
  std::optional<TensorRef> appended_key = {};
  std::optional<TensorRef> appended_value = {};
};

struct SelfAttentionRequest {
  TensorRef embeddings = {};
  Projections projections = {};
  std::optional<int32_t> head_count = {};  // absent: 1, or the layer's
  AttentionOptions options = {};
  std::string layer = {};  // instead of projections
};

struct MaskedAttentionRequest {
  TensorRef embeddings = {};
  Projections projections = {};
  std::optional<int32_t> head_count = {};  // absent: 1, or the layer's
  AttentionOptions options = {};
  std::string layer = {};
};

struct MultiHeadAttentionRequest {
  TensorRef query = {};
  std::optional<TensorRef> key = {};    // absent: query
  std::optional<TensorRef> value = {};  // absent: key
  Projections projections = {};
  std::optional<int32_t> head_count = {};            // absent: 1, or the layer's
  std::optional<int32_t> key_value_head_count = {};  // absent: head_count, or the layer's
  AttentionOptions options = {};
  std::string layer = {};
};

struct CrossAttentionRequest {
  TensorRef query_embeddings = {};
  TensorRef memory_embeddings = {};
  Projections projections = {};
  std::optional<int32_t> head_count = {};  // absent: 1, or the layer's
  AttentionOptions options = {};
  std::string layer = {};
};

enum class Layout : uint8_t { kHeadsFirst, kSequenceFirst, kPacked };

struct ScaledDotProductAttentionRequest {
  TensorRef query = {};
  TensorRef key = {};
  TensorRef value = {};
  Layout layout = Layout::kHeadsFirst;
  std::optional<int32_t> head_count = {};  // needed with kPacked
  std::optional<int32_t> key_value_head_count = {};
  AttentionOptions options = {};

  // Keys and values of earlier steps, heads first in every layout; both or neither.
  std::optional<TensorRef> past_key = {};
  std::optional<TensorRef> past_value = {};
  bool return_present = false;

  // Ragged batches: [sequences + 1], kInt32 or kInt64, instead of a batch axis; both or neither.
  std::optional<TensorRef> query_starts = {};
  std::optional<TensorRef> key_starts = {};
};

struct ApplyRotaryEmbeddingRequest {
  TensorRef input = {};
  std::optional<int32_t> head_count = {};  // needed where heads and width share an axis
  TensorRef cos = {};
  TensorRef sin = {};
  std::optional<TensorRef> position_ids = {};
  std::optional<int64_t> rotary_width = {};  // absent: the width of one head
  bool interleaved = false;
};

// What attention over some of the keys returned.
struct AttentionState {
  TensorRef output = {};
  TensorRef log_sum_exp = {};
};

struct MergeAttentionStatesRequest {
  std::vector<AttentionState> states = {};
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_REQUESTS_H_
