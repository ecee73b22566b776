// The vectorized loops of fused attention that are not matrix products. Compiled for several
// instruction sets by Highway; each call dispatches to the best one that the process may use.
//
// Free functions on raw arrays. Thread safety: reentrant. Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_ELEMENTWISE_H_
#define ATTENTION_KERNELS_ELEMENTWISE_ELEMENTWISE_H_

#include <cstdint>
#include <span>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// Score rows are padded to a multiple of this many columns (a vector of the widest kind); the
// padding may be overwritten.
inline constexpr int64_t kColumnMultiple = 16;

// destination[i] = source[i] as f32, exactly; F64 is rounded, and stays finite if it is. Unaligned
// pointers are fine.
void ConvertToF32(DataType type, const void* source, int64_t count, float* destination);

// Where the parts of split numbers go; null for parts that are not wanted. With three of them
// high + middle + low is `source`, exactly, if the smallest part is not denormal.
struct BF16Parts {
  uint16_t* high = nullptr;
  uint16_t* middle = nullptr;
  uint16_t* low = nullptr;
};

// high = source rounded to BF16, middle = the rest rounded to BF16, low = the rest of that.
void SplitToBF16(const float* source, int64_t count, const BF16Parts& parts);

// Whether every number is 0 or has a magnitude in [2^-48, 2^63]: SplitToBF16 then keeps all of it,
// and no product of two parts that matters is too small or too large for f32.
[[nodiscard]] bool AllSplittable(const float* values, int64_t count);

struct ScaledRow {
  const float* source;
  float factor;
  void* destination;  // none of the sources
};

// destination[i] = source[i] * factor, rounded to nearest even, for `count` numbers of each row,
// which become numbers of `type`: F32, F16 or BF16.
void ScaleFromF32(std::span<const ScaledRow> rows, int64_t count, DataType type);

[[nodiscard]] bool AllFinite(DataType type, const void* values, int64_t count);

// What becomes of scores as the softmax reads them, in one of three ways; see ScoreTransform. What
// belongs to hidden columns is read, too, within each group of kPairedColumns that holds a visible
// one, but does not matter.
struct SoftmaxTransform {
  // Multiplied, capped if softcap > 0 (the multiplier then divides by it), and biased unless
  // `biases` is null.
  float multiplier = 1;
  float softcap = 0;
  const float* const* biases = nullptr;  // for each row that of column 0
  bool biases_hide = false;  // whether a bias of -infinity hides, even NaN; then without a softcap

  // Columns with 0 are hidden. Null: not used.
  const uint8_t* const* visible = nullptr;  // for each row that of column 0

  // Columns whose segment is not that of the row are hidden. Null: not used.
  const int32_t* column_segments = nullptr;
  const int32_t* row_segments = nullptr;
};

// A block of scores of some queries over consecutive keys, and the running softmax of those
// queries. Arrays have an element for each row.
struct SoftmaxBlock {
  float* scores;                  // [row_count, column_count]
  int64_t score_stride_elements;  // >= column_count
  int64_t row_count;
  int64_t first_row;              // of `transform`'s arrays
  int64_t column_count;           // a multiple of kColumnMultiple
  const int32_t* visible_begins;  // columns before it are hidden
  const int32_t* visible_ends;    // columns at and after it are; 0 <= begin <= end <= column_count
  const int32_t* likely_maxima;   // columns where a large score may be looked for, in [begin, end)
                                  // unless that is empty; null: the first ones
  const SoftmaxTransform* transform;  // null: scores are read as they are
  const float* exponent_scales;       // > 0: what scores are multiplied by to become exponents of 2
  float* references;                  // what is subtracted from a row's scores; -infinity at first
  float* sums;                        // the running sum of weights; 0 at first
  float* outputs;  // [row_count, output_count]: the running output, rescaled when a reference
                   // grows
  int64_t output_stride_elements;
  int64_t output_count;

  // Rows [first, first + count) of it. `transform` is that of the whole block, whatever rows read
  // it: first_row says where theirs stand in its arrays.
  [[nodiscard]] SoftmaxBlock Rows(int64_t first, int64_t count) const {
    SoftmaxBlock rows = *this;
    rows.scores += first * score_stride_elements;
    rows.row_count = count;
    rows.visible_begins += first;
    rows.visible_ends += first;
    if (likely_maxima != nullptr) rows.likely_maxima += first;
    rows.first_row += first;
    rows.exponent_scales += first;
    rows.references += first;
    rows.sums += first;
    rows.outputs += first * output_stride_elements;
    return rows;
  }
};

// Takes one block into the running softmax (Milakov and Gimelshein, 2018): weights become
// 2^((score - reference) * exponent_scale), 0 where hidden, and overwrite the scores. The reference
// is a score that none exceeds by much, so that weights and their sums stay far from the ends of
// f32; it is guessed before the scores are read, and a row is seldom rescaled or read again.
// Subtracting first keeps scores near the ends of f32 (masks of the lowest finite number) from
// overflowing.
void SoftmaxToF32(const SoftmaxBlock& block);

// BF16 weights stand in this order within each kPairedColumns: 0, 16, 1, 17, ...
inline constexpr int64_t kPairedColumns = 32;
inline constexpr int64_t kPairDistance = kPairedColumns / 2;

// Where the weight of `column` stands.
[[nodiscard]] constexpr int64_t PairedPosition(int64_t column) {
  const int64_t in_group = column % kPairedColumns;
  return column - in_group + in_group % kPairDistance * 2 + in_group / kPairDistance;
}

// Weights as the left operand of BF16 products: 1, 2 or 3 parts of [row_count,
// part_stride_elements] each, in the order of PairedPosition, which costs nothing to write; the
// rows of the right operand must be paired alike.
struct BF16Weights {
  uint16_t* parts;
  int64_t row_stride_elements;
  int64_t part_stride_elements;  // from one part to the next
  int part_count;
  bool exact_sums;  // with one part: sum the weights as they were before rounding
};

// The same with weights in BF16. A single part is rounded, and `sums` counts what it holds after
// rounding, unless exact sums are asked for; with more parts the weights are exact to 2^-16 (two)
// or 2^-24 (three). column_count is a multiple of kPairedColumns; the scores stay, but for
// -infinity where hidden.
void SoftmaxToBF16(const SoftmaxBlock& block, const BF16Weights& weights);

// What a row's scores are normalized with, once its softmax is final.
struct RowNormalizer {
  float reference;       // finite
  float exponent_scale;  // > 0
  float factor;          // 1 / sum
};

// Of some weights w = factor * 2^e of a row, hidden ones left out.
struct WeightSummary {
  float sum = 0;           // of w
  float exponent_sum = 0;  // of w * e
  float maximum = 0;       // of w; NaN if there is one
};

// weights[i] = 2^((scores[i] - reference) * exponent_scale) * factor; 0 where the score is
// -infinity, even if the factor is NaN.
void NormalizeScores(const float* scores, int64_t count, const RowNormalizer& normalizer,
                     float* weights);

// The same, and what they sum up to.
[[nodiscard]] WeightSummary NormalizeAndSummarize(const float* scores, int64_t count,
                                                  const RowNormalizer& normalizer, float* weights);

// sums[i] += weights[i].
void AddToSums(const float* weights, int64_t count, double* sums);

// The largest weights of a row so far, in descending order, and their keys.
struct TopList {
  float* weights;
  int32_t* keys;
  int64_t capacity;
  int64_t count;
};

// Takes the weights greater than 0 of keys first_key + i into the list, later keys after earlier
// ones of the same weight. NaN is left out.
void TakeIntoTop(const float* weights, int64_t count, int64_t first_key, TopList& list);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_ELEMENTWISE_H_
