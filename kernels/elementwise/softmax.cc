#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/softmax.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/exp2-inl.h"
#include "kernels/elementwise/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

// In place: the weights of `count` columns; returns their sum.
HWY_INLINE float WeighRow(float* row, int64_t count, const Exponents& exponents) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto weigh = [&](float* columns) {
    const auto weight = Exp2(d, exponents.Of(hn::LoadU(d, columns)));
    hn::StoreU(weight, d, columns);
    return weight;
  };
  auto sum0 = hn::Zero(d);
  auto sum1 = hn::Zero(d);
  int64_t column = 0;
  for (; column + 2 * lanes <= count; column += 2 * lanes) {
    sum0 = hn::Add(sum0, weigh(row + column));
    sum1 = hn::Add(sum1, weigh(row + column + lanes));
  }
  if (column < count) sum0 = hn::Add(sum0, weigh(row + column));
  return hn::ReduceSum(d, hn::Add(sum0, sum1));
}

HWY_INLINE void SoftmaxRow(const SoftmaxBlock& block, int64_t row) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  const int64_t begin = block.visible_begins[row];
  const int64_t end = block.visible_ends[row];
  float* scores = block.scores + row * block.score_stride_elements;
  if (begin == end) {
    std::fill_n(scores, block.column_count, 0.0f);
    return;
  }
  const int64_t first = begin / kColumnMultiple * kColumnMultiple;
  const int64_t padded = RoundUp(end, kColumnMultiple);
  std::fill(scores + first, scores + begin, kMinusInfinity);
  std::fill(scores + end, scores + padded, kMinusInfinity);
  const float maximum =
      std::max(block.references[row], MaximumOfRow(scores + first, padded - first));
  if (maximum == kMinusInfinity) {
    // Only scores of -infinity are visible, and perhaps NaN, which must not be lost.
    if (ContainsNan(scores + begin, end - begin)) {
      block.sums[row] = std::numeric_limits<float>::quiet_NaN();
    }
    std::fill_n(scores, block.column_count, 0.0f);
    return;
  }
  const float sum =
      WeighRow(scores + first, padded - first, Exponents(maximum, block.exponent_scales[row]));
  std::fill(scores, scores + first, 0.0f);
  std::fill(scores + padded, scores + block.column_count, 0.0f);
  AddWeights(block, row, maximum, sum);
}

void SoftmaxToF32Here(const SoftmaxBlock& block) {
  for (int64_t row = 0; row < block.row_count; ++row) SoftmaxRow(block, row);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SoftmaxToF32Here);

void SoftmaxToF32(const SoftmaxBlock& block) { HWY_DYNAMIC_DISPATCH(SoftmaxToF32Here)(block); }

}  // namespace attention::kernels
#endif  // HWY_ONCE
