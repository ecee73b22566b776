// What is computed between queries, keys and values, and what is returned: AttentionOptions of
// attention.v1 as plain structs. proto/attention/v1/options.proto is the contract: formula, shapes,
// defaults, limits, errors. An empty optional means "not given". Tensors are borrowed.

#ifndef ATTENTION_CLIENT_ATTENTION_OPTIONS_H_
#define ATTENTION_CLIENT_ATTENTION_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "client/precision.h"
#include "client/tensor.h"

namespace attention::client {

enum class Normalization : uint8_t { kSoftmaxOverKeys, kSoftmaxOverQueries, kNone };

// kRaw: before softcap, biases and masks; kCapped: after the softcap; kMasked: what is normalized.
enum class ScoresKind : uint8_t { kRaw, kCapped, kMasked };

// The weights of a query that sees no key.
enum class FullyMaskedPolicy : uint8_t { kZeros, kNan, kUniform };

// Query i is at position p = i + offset among the keys, and sees key j only if j <= p.
struct Causal {
  enum class Alignment : uint8_t {
    kEqualCounts,  // offset 0, allowed only where query and key counts are equal
    kTopLeft,      // offset 0
    kBottomRight,  // offset = keys - queries
    kOffset,       // the offset below
    kKeyLengths,   // offset = key_lengths[batch] - queries
  };
  Alignment alignment = Alignment::kEqualCounts;
  int64_t offset = 0;  // read with kOffset alone
};

// The same positions for what counts distances without hiding what lies ahead.
struct QueryPositions {
  Causal::Alignment alignment = Causal::Alignment::kEqualCounts;
  int64_t offset = 0;  // read with kOffset alone
};

// A query at position p attends to key j only if p - left <= j <= p + right.
struct Window {
  std::optional<int64_t> left = {};
  std::optional<int64_t> right = {};
};

// Whole blocks of the score matrix that are seen or hidden.
struct BlockMask {
  TensorRef mask = {};
  int64_t query_block_size = 1;
  int64_t key_block_size = 1;
};

struct Alibi {
  TensorRef slopes = {};  // [query heads]
  bool symmetric = false;
};

// T5's bias by ranges of distances.
struct RelativePositionBias {
  TensorRef table = {};  // [buckets, query heads]
  int64_t maximum_distance = 128;
  bool bidirectional = false;
};

// Of queries and keys, before the scores.
struct RotaryEmbedding {
  std::optional<double> base = {};
  std::optional<double> position_scale = {};
  std::optional<int64_t> width = {};  // absent: the key width of one head
  bool interleaved = false;
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
  std::optional<double> softcap = {};

  // What hides keys, or weakens them.
  std::optional<TensorRef> boolean_mask = {};
  std::optional<TensorRef> additive_mask = {};
  std::optional<TensorRef> multiplicative_mask = {};
  bool short_masks = false;
  std::optional<BlockMask> block_mask = {};
  std::optional<Causal> causal = {};
  std::optional<TensorRef> prefix_lengths = {};
  std::optional<Window> window = {};
  std::optional<TensorRef> key_lengths = {};
  std::optional<TensorRef> query_segments = {};
  std::optional<TensorRef> key_segments = {};
  FullyMaskedPolicy fully_masked = FullyMaskedPolicy::kZeros;

  // What depends on positions. Absent: as `causal` says.
  std::optional<QueryPositions> query_positions = {};
  std::optional<Alibi> alibi = {};
  std::optional<RelativePositionBias> relative_position_bias = {};
  std::optional<RotaryEmbedding> rotary_embedding = {};

  // One number for each query head.
  std::optional<TensorRef> sinks = {};
  std::optional<TensorRef> head_mask = {};
  std::optional<TensorRef> temperature = {};

  std::optional<Precision> precision = {};    // F32 queries only; absent: the server's default
  std::optional<DataType> softmax_type = {};  // the least precise one that will do

  // What is returned beside the output.
  bool return_weights = false;
  std::optional<ScoresKind> return_scores = {};
  bool return_log_sum_exp = false;
  int32_t return_top_weights = 0;  // how many of each query
  bool return_entropy = false;
  bool return_key_mass = false;
  bool return_maximum_weight = false;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTENTION_OPTIONS_H_
