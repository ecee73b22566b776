// The vectorized loops of fused attention that are not matrix products. Compiled for several
// instruction sets by Highway; each call dispatches to the best one that the process may use.
//
// Free functions on raw arrays. Thread safety: reentrant. Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_ELEMENTWISE_H_
#define ATTENTION_KERNELS_ELEMENTWISE_ELEMENTWISE_H_

#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// Score rows are padded to a multiple of this many columns (two vectors of the widest kind); the
// padding may be overwritten.
inline constexpr int64_t kColumnMultiple = 32;

[[nodiscard]] constexpr int64_t RoundUp(int64_t count, int64_t multiple) {
  return (count + multiple - 1) / multiple * multiple;
}

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

// destination[i] = source[i] * factor, rounded to nearest even.
void ScaleFromF32(const float* source, float factor, int64_t count, DataType type,
                  void* destination);

// destination[column * destination_stride + row] = source[row * source_stride + column], in words
// of 32 bits.
void TransposeWords(const uint32_t* source, int64_t source_stride, int64_t row_count,
                    int64_t column_count, uint32_t* destination, int64_t destination_stride);

// destination[2 * i] = even[i], destination[2 * i + 1] = odd[i].
void InterleaveHalfWords(const uint16_t* even, const uint16_t* odd, int64_t count,
                         uint16_t* destination);

[[nodiscard]] bool AllFinite(DataType type, const void* values, int64_t count);

// s = s * scale + additive (if any); -infinity where additive is -infinity or boolean (if any) is
// 0.
void MaskScores(float* scores, int64_t count, float scale, const float* additive,
                const uint8_t* boolean);

// A block of scores of some queries over consecutive keys, and the running softmax of those
// queries. `exponent_scale` > 0 is what scores are multiplied by to become exponents of 2.
struct SoftmaxBlock {
  float* scores;  // [row_count, column_count]; in the F32 case overwritten by the weights
  int64_t score_stride_elements;  // >= column_count
  int64_t row_count;
  int64_t column_count;  // a multiple of kColumnMultiple
  const int32_t*
      visible_counts;  // [row_count]: columns at and after it are hidden, in [0, column_count]
  float exponent_scale;
  float* maxima;   // [row_count]: the running maximum of the scores; -infinity at first
  float* sums;     // [row_count]: the running sum of weights; 0 at first
  float* outputs;  // [row_count, output_count]: the running output, rescaled when a maximum grows
  int64_t output_stride_elements;
  int64_t output_count;
};

// Takes one block into the running softmax (Milakov and Gimelshein, 2018): weights become
// 2^((score - maximum) * exponent_scale), 0 where hidden. They are left in block.scores.
// Subtracting first keeps scores near the ends of f32 (masks of the lowest finite number) from
// overflowing.
void SoftmaxToF32(const SoftmaxBlock& block);

// The same, with the weights rounded to BF16 into `weights` [row_count, weight_stride_elements].
void SoftmaxToBF16(const SoftmaxBlock& block, uint16_t* weights, int64_t weight_stride_elements);

// In place: scores[i] = 2^((scores[i] - maximum) * exponent_scale) * factor; the softmax, once the
// maximum is final.
void NormalizeScores(float* scores, int64_t count, float exponent_scale, float maximum,
                     float factor);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_ELEMENTWISE_H_
