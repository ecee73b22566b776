// What attention is computed from: operands, masks, biases and options. See attend.h for the
// formula.

#ifndef ATTENTION_KERNELS_ATTENTION_PROBLEM_H_
#define ATTENTION_KERNELS_ATTENTION_PROBLEM_H_

#include <cstdint>
#include <optional>
#include <span>

#include "kernels/tensor_view.h"

namespace attention::kernels {

enum class ScoreKind : uint8_t { kDotProduct, kGeneral, kAdditive };
enum class Normalization : uint8_t { kSoftmaxOverKeys, kSoftmaxOverQueries, kNone };

// Which score matrix is returned.
enum class ScoresOutput : uint8_t {
  kNone,
  kRaw,     // scale * score, before the softcap
  kCapped,  // after the softcap, before biases and masks
  kMasked,  // what is normalized: -infinity where hidden (0 without softmax)
};

// The weights of a row that sees no key. With a sink greater than -infinity there is no such row:
// the sink takes all. Without any keys, sums over them are 0 in any case.
enum class FullyMasked : uint8_t {
  kZeros,
  kNan,
  kUniform,  // 1 / keys for every key, hidden ones included
};

// How the matrix products over F32 operands are computed. Operands of other types have a precision
// of their own and ignore it. A split product writes x = high + middle (+ low), each in BF16, and
// sums the products of the parts in f32 (Henry, Tang and Heinecke, "Leveraging the bfloat16
// Artificial Intelligence Datatype For Higher-Precision Computations", 2019). Products are in f32
// where the processor has no BF16 tiles for split ones, or no BF16 products for kBF16; for queries
// that see a number which no part can hold (infinite, NaN, or not 0 and outside [2^-48, 2^63] in
// magnitude); and for a few queries at a time if neither weights nor scores are asked for.
enum class Precision : uint8_t {
  kF32,              // f32 products and sums
  kBF16X6,           // six products of BF16 parts: the same error bound as kF32
  kBF16X3,           // three products: relative error about 1e-5
  kBF16,             // operands rounded to BF16
  kF32GradeFastest,  // kF32 or kBF16X6, whichever a measurement found faster: bits may differ
                     // between runs
};

// Whole blocks of the score matrix that are seen or hidden: query i sees key j only if
// mask[i / query_block_size, j / key_block_size] is 1.
struct BlockMask {
  // Absent, or BOOL [batch, query heads, query blocks, key blocks] with any strides, 0 where it
  // broadcasts; the blocks cover all queries and keys.
  TensorView mask;
  int64_t query_block_size = 1;
  int64_t key_block_size = 1;
};

// A bias that grows with the distance (Press, Smith and Lewis, "Train Short, Test Long: Attention
// with Linear Biases Enables Input Length Extrapolation", 2022): slope * (j - p), or, symmetric,
// -slope * |j - p|. On keys at and before p both are the same.
struct Alibi {
  std::span<const double> slopes;  // of each query head, finite; empty for none
  bool symmetric = false;
};

// A bias learned for ranges of distances (Raffel et al., "Exploring the Limits of Transfer Learning
// with a Unified Text-to-Text Transformer", 2020, section 2.1): table[bucket(j - p), head].
//
// One half of the buckets holds one distance each, the other half distances up to maximum_distance
// in logarithmic steps; all greater ones fall into the last. Bidirectional: the first half of the
// table serves keys at and before p, the second those after it; otherwise all of the table serves
// keys at and before p, and later ones are at distance 0.
struct BucketedBias {
  std::span<const double> table;   // [bucket_count, query heads], finite; empty for none
  int64_t bucket_count = 32;       // even, at least 2; at least 4 if bidirectional
  int64_t maximum_distance = 128;  // greater than the distances that have a bucket of their own
  bool bidirectional = true;
};

// Turns pairs (x, y) of the first `width` numbers of a row at position p by the angle p *
// position_scale * base^(-2 k / width), k = 0 .. width / 2 - 1 (Su et al., "RoFormer", 2021):
//   x' = x cos - y sin,   y' = x sin + y cos
// Pairs are (k, k + width / 2) or, interleaved, (2 k, 2 k + 1). Results are rounded to the type of
// the rows.
struct RotaryEmbedding {
  int64_t width = 0;      // even, in [0, key width]; 0 means the key width, which must then be even
  double base = 10000.0;  // finite, greater than 0
  double position_scale = 1.0;  // finite; 0.5 stretches twice the context into the trained one
  bool interleaved = false;
};

// The operands. Queries, keys and values share one type: F32, F16, BF16 or F64.
struct AttentionProblem {
  TensorView query;  // [batch, query heads, queries, key width]
  TensorView key;    // [batch, key-value heads, keys, key width]
  TensorView value;  // [batch, key-value heads, keys, value width]

  // Each absent, or with the extents [batch, query heads, queries, keys] and any strides, 0 where
  // it broadcasts. Not read at keys at and after key_lengths[batch], so there may be no memory
  // there.
  TensorView boolean_mask;         // BOOL; 1 = attend
  TensorView additive_mask;        // any type but BOOL
  TensorView multiplicative_mask;  // any type but BOOL; only with Normalization::kNone

  // The position of query i of a batch entry among the keys is p = i + query_offset, or i +
  // query_offsets[batch] if that is not empty, clamped to 64 bits. Any value. Causality, the
  // window, relative biases and the rotary embedding count from it.
  int64_t query_offset = 0;
  std::span<const int64_t> query_offsets;

  // Query i sees key j only if j <= p or, where prefix_lengths is not empty, j <
  // prefix_lengths[batch]. In [0, keys]; prefixes only with causality.
  bool causal = false;
  std::span<const int64_t> prefix_lengths;

  // Query i sees key j only if p - *left_window <= j <= p + *right_window. At least 0.
  std::optional<int64_t> left_window;
  std::optional<int64_t> right_window;

  // Empty, or one for each batch entry: keys at and after key_lengths[batch] are padding. In [0,
  // keys].
  std::span<const int64_t> key_lengths;

  // Both empty, or [batch, queries] and [batch, keys]: a query sees the keys of its own segment.
  std::span<const int32_t> query_segments;
  std::span<const int32_t> key_segments;

  BlockMask block_mask;

  // Of each query head; empty for none.
  std::span<const double> sinks;         // a logit in the softmax's denominator alone; not NaN
  std::span<const double> temperatures;  // finite, greater than 0
  std::span<const double> head_factors;  // finite; a head of factor 0 gives zeros

  Alibi alibi;
  BucketedBias bucketed_bias;
  std::optional<RotaryEmbedding> rotary;  // of queries and keys

  // Parameters of the general score (first_weight [1, 1, query width, key width]) and of the
  // additive score (first_weight [1, 1, query width, hidden], second_weight [1, 1, key width,
  // hidden], vector [1, 1, 1, hidden]). Dense, in the type of the queries. Absent for the dot
  // product.
  TensorView score_first_weight;
  TensorView score_second_weight;
  TensorView score_vector;
};

struct AttentionOptions {
  // Any finite number. Default: 1 / sqrt(key width) for the dot product, 1 for other scores. Where
  // it, alone or over a temperature, is not 0 and outside [2^-100, 2^100] in magnitude, all is
  // computed in float64: products in f32 do not reach that far.
  std::optional<double> scale = {};
  ScoreKind score = ScoreKind::kDotProduct;
  Normalization normalization = Normalization::kSoftmaxOverKeys;
  std::optional<double> softcap = {};  // finite, greater than 0
  FullyMasked fully_masked = FullyMasked::kZeros;
  ScoresOutput scores = ScoresOutput::kNone;
  Precision precision = Precision::kF32;

  // Compute the softmax, and all else, in float64, whatever the type of the operands.
  bool float64 = false;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ATTENTION_PROBLEM_H_
