// What becomes of a row of products before the softmax.
//
// Free functions on raw arrays, compiled for several instruction sets. Thread safety: reentrant.
// Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_SCORE_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_SCORE_ROWS_H_

#include <cstdint>

namespace attention::kernels {

// s = multiplier * s
// s = softcap * tanh(s)                                   if softcap > 0
// s = s + relative_bias + additive                        as far as they are not null
// s = -infinity                                           where additive is, or visible is 0
struct ScoreTransform {
  float multiplier = 1;
  float softcap = 0;  // the multiplier then divides by it
  const float* relative_bias = nullptr;
  const float* additive = nullptr;
  const uint8_t* visible = nullptr;
};

// In place. The relative error of the tanh is at most 4e-7. What is hidden is -infinity even if it
// was NaN.
void TransformScores(const ScoreTransform& transform, int64_t count, float* scores);

// equal[i] = elements[i] == wanted.
void CompareEqual(const int32_t* elements, int32_t wanted, int64_t count, uint8_t* equal);

// Whether `visible` (by 1) and `additive` (by anything but -infinity) both let some element be
// seen. Null, which only one of them may be, hides nothing.
[[nodiscard]] bool AnySeen(const uint8_t* visible, const float* additive, int64_t count);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_SCORE_ROWS_H_
