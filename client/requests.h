// What can be asked of the service, as plain structs. Each mirrors one request of attention.v1,
// whose comments (proto/attention/v1) are the contract: shapes, defaults, limits, errors. Tensors
// are borrowed: they must live until the call returns. An empty optional means "not given", with
// the service's documented default. Every field has an initializer, so that designated initializers
// can name just those that matter.

#ifndef ATTENTION_CLIENT_REQUESTS_H_
#define ATTENTION_CLIENT_REQUESTS_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "client/precision.h"
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
};

enum class Normalization : uint8_t { kSoftmaxOverKeys, kSoftmaxOverQueries, kNone };

enum class ScoresKind : uint8_t { kRaw, kMasked };

// Query i attends to key j if and only if j <= i + offset.
struct Causal {
  enum class Alignment : uint8_t {
    kEqualCounts,  // offset 0, allowed only where query and key counts are equal
    kTopLeft,      // offset 0
    kBottomRight,  // offset = keys - queries
    kOffset,       // the offset below
  };
  Alignment alignment = Alignment::kEqualCounts;
  int64_t offset = 0;  // read with kOffset alone
};

struct DotProductScore {};

struct GeneralScore {
  TensorRef weight = {};
};

struct AdditiveScore {
  TensorRef query_weight = {};
  TensorRef key_weight = {};
  TensorRef vector = {};
};

struct AttentionOptions {
  std::optional<double> scale = {};
  std::variant<DotProductScore, GeneralScore, AdditiveScore> score = {};
  Normalization normalization = Normalization::kSoftmaxOverKeys;
  std::optional<TensorRef> boolean_mask = {};
  std::optional<TensorRef> additive_mask = {};
  std::optional<TensorRef> multiplicative_mask = {};
  std::optional<Causal> causal = {};
  std::optional<TensorRef> key_lengths = {};
  bool return_weights = false;
  std::optional<ScoresKind> return_scores = {};
  std::optional<Precision> precision = {};  // F32 queries only; absent: the server's default
};

struct SelfAttentionRequest {
  TensorRef embeddings = {};
  Projections projections = {};
  int32_t head_count = 1;
  AttentionOptions options = {};
};

struct MaskedAttentionRequest {
  TensorRef embeddings = {};
  Projections projections = {};
  int32_t head_count = 1;
  AttentionOptions options = {};
};

struct MultiHeadAttentionRequest {
  TensorRef query = {};
  std::optional<TensorRef> key = {};    // absent: query
  std::optional<TensorRef> value = {};  // absent: key
  Projections projections = {};
  int32_t head_count = 1;
  std::optional<int32_t> key_value_head_count = {};  // absent: head_count
  AttentionOptions options = {};
};

struct CrossAttentionRequest {
  TensorRef query_embeddings = {};
  TensorRef memory_embeddings = {};
  Projections projections = {};
  int32_t head_count = 1;
  AttentionOptions options = {};
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
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_REQUESTS_H_
