// Attention on the CPU: the public interface of the kernels.
//
//   s[i, j] = scale * score(query[i], key[j])
//   s[i, j] = s[i, j] * multiplicative_mask[i, j] + additive_mask[i, j]
//   s[i, j] = -infinity  where boolean_mask, additive_mask = -infinity, causal or key_lengths hide
//   key j w       = softmax of s over keys | softmax of s over queries | s (0 where hidden)
//   output[i] = sum over j of w[i, j] * value[j]
//
// for every batch entry and query head h, which reads key-value head h / (query heads / key-value
// heads). A row that sees no key gives zeros. What is hidden reaches nothing but raw scores, be it
// NaN or infinite.
//
// Sources: Vaswani et al., "Attention Is All You Need" (2017), section 3.2; Milakov and Gimelshein,
// "Online normalizer calculation for softmax" (2018) and Dao et al., "FlashAttention" (2022) for
// the fused order of evaluation; Luong et al. (2015) and Bahdanau et al. (2015), A.1.2, for the
// general and additive scores.

#ifndef ATTENTION_KERNELS_ATTEND_H_
#define ATTENTION_KERNELS_ATTEND_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

enum class ScoreKind : uint8_t { kDotProduct, kGeneral, kAdditive };
enum class Normalization : uint8_t { kSoftmaxOverKeys, kSoftmaxOverQueries, kNone };
enum class ScoresOutput : uint8_t { kNone, kRaw, kMasked };

// How the matrix products over F32 operands are computed. Operands of other types have a precision
// of their own and ignore it. A split product writes x = high + middle (+ low), each in BF16, and
// sums the products of the parts in f32 (Henry, Tang and Heinecke, "Leveraging the bfloat16
// Artificial Intelligence Datatype For Higher-Precision Computations", 2019). Where the processor
// has no BF16 tiles, and for queries that see a number which a split cannot hold (infinite, NaN, or
// not 0 and outside [2^-48, 2^63] in magnitude), products are in f32; so they are for a few queries
// at a time, where reading keys and values takes the time.
enum class Precision : uint8_t {
  kF32,              // f32 products and sums
  kBF16X6,           // six products of BF16 parts: the same error bound as kF32
  kBF16X3,           // three products: relative error about 1e-5
  kBF16,             // operands rounded to BF16
  kF32GradeFastest,  // kF32 or kBF16X6, whichever a measurement found faster: bits may differ
                     // between runs
};

// The operands. Queries, keys and values share one type: F32, F16, BF16 or F64.
struct AttentionProblem {
  TensorView query;  // [batch, query heads, queries, key width]
  TensorView key;    // [batch, key-value heads, keys, key width]
  TensorView value;  // [batch, key-value heads, keys, value width]

  // Each absent or with the extents [batch, query heads, queries, keys] and strides of 0 where it
  // broadcasts.
  TensorView boolean_mask;         // BOOL; 1 = attend
  TensorView additive_mask;        // any type but BOOL
  TensorView multiplicative_mask;  // any type but BOOL; only with Normalization::kNone

  // Query i sees key j only if j <= i + *causal_offset. Any value.
  std::optional<int64_t> causal_offset;

  // Empty, or one for each batch entry: keys at and after key_lengths[batch] are padding. In [0,
  // keys].
  std::span<const int64_t> key_lengths;

  // Parameters of the general score (first_weight [1, 1, query width, key width]) and of the
  // additive score (first_weight [1, 1, query width, hidden], second_weight [1, 1, key width,
  // hidden], vector [1, 1, 1, hidden]). Dense, in the type of the queries. Absent for the dot
  // product.
  TensorView score_first_weight;
  TensorView score_second_weight;
  TensorView score_vector;
};

struct AttentionOptions {
  // Any finite number. Default: 1 / sqrt(key width) for the dot product, 1 for other scores.
  std::optional<double> scale;
  ScoreKind score = ScoreKind::kDotProduct;
  Normalization normalization = Normalization::kSoftmaxOverKeys;
  ScoresOutput scores = ScoresOutput::kNone;
  Precision precision = Precision::kF32;
};

// Where results go. Written only if the status is OK, except that a stopped computation may have
// begun. None may overlap an input or another output.
struct AttentionOutputs {
  MutableTensorView output;   // [batch, query heads, queries, value width], the type of the queries
  MutableTensorView weights;  // absent, or dense [batch, query heads, queries, keys]
  MutableTensorView
      scores;  // absent unless options.scores asks; dense [batch, query heads, queries, keys]
};

// What ran.
struct AttentionReport {
  std::string_view implementation;  // Implementation::name()
  std::string_view precision;       // of the matrix products: "f32", "bf16_x6", "bf16_x3", "bf16"
                                    // or "f64"; what most queries took, where they differ
  int thread_count = 1;             // threads that took part
};

// Computes attention.
//
// Returns kInvalidArgument, with nothing written, if the problem contradicts the contract above
// (the message names the field and both values); kUnimplemented if no usable implementation offers
// the combination; kCancelled if execution.stop asked for it; kInternal if the matrix library
// failed. Thread safety: reentrant. Memory: working sets of a few MiB a thread and packed copies of
// keys and values; never a full score matrix that was not asked for.
[[nodiscard]] absl::StatusOr<AttentionReport> Attend(const AttentionProblem& problem,
                                                     const AttentionOptions& options,
                                                     const AttentionOutputs& outputs,
                                                     const Execution& execution = {});

// The checks that Attend makes first. Also checks that extents multiply without overflow.
[[nodiscard]] absl::Status Validate(const AttentionProblem& problem,
                                    const AttentionOptions& options,
                                    const AttentionOutputs& outputs);

// Floating point operations of the two matrix products over the (query, key) pairs that
// causal_offset and key_lengths leave visible: 2 * pairs * (key width + value width). A double,
// since it must not overflow. Of a problem that Validate accepts.
[[nodiscard]] double EstimateFlops(const AttentionProblem& problem);

// Bytes of packed keys and values that Attend holds at most for this problem at a time, or of
// partial results where queries are few. A double, since it must not overflow. Extents alone
// matter.
[[nodiscard]] double EstimatePackedBytes(const AttentionProblem& problem,
                                         const AttentionOptions& options);

// True if Attend would compute this in float64, element by element: much slower, so servers limit
// it apart.
[[nodiscard]] bool RunsInFloat64(const AttentionProblem& problem, const AttentionOptions& options);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ATTEND_H_
