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
  const int64_t visible = block.visible_counts[row];
  float* scores = block.scores + row * block.score_stride_elements;
  const int64_t padded = RoundUp(visible, kColumnMultiple);
  std::fill(scores + visible, scores + padded, kMinusInfinity);
  const float maximum =
      visible == 0 ? kMinusInfinity : std::max(block.references[row], MaximumOfRow(scores, padded));
  if (maximum == kMinusInfinity) {
    // Either nothing is visible, or only scores of -infinity (and perhaps NaN, which must not be
    // lost).
    if (ContainsNan(scores, visible)) block.sums[row] = std::numeric_limits<float>::quiet_NaN();
    std::fill_n(scores, block.column_count, 0.0f);
    return;
  }
  const float sum = WeighRow(scores, padded, Exponents(maximum, block.exponent_scale));
  std::fill(scores + padded, scores + block.column_count, 0.0f);
  AddWeights(block, row, maximum, sum);
}

void SoftmaxToF32Here(const SoftmaxBlock& block) {
  for (int64_t row = 0; row < block.row_count; ++row) SoftmaxRow(block, row);
}

void NormalizeScoresHere(float* scores, int64_t count, float exponent_scale, float reference,
                         float factor) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const Exponents exponents(reference, exponent_scale);
  const auto factors = hn::Set(d, factor);
  for (int64_t column = 0; column < count; column += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - column));
    const auto weights = Exp2(d, exponents.Of(hn::LoadN(d, scores + column, rest)));
    hn::StoreN(hn::Mul(weights, factors), d, scores + column, rest);
  }
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SoftmaxToF32Here);
HWY_EXPORT(NormalizeScoresHere);

void SoftmaxToF32(const SoftmaxBlock& block) { HWY_DYNAMIC_DISPATCH(SoftmaxToF32Here)(block); }

void NormalizeScores(float* scores, int64_t count, float exponent_scale, float reference,
                     float factor) {
  HWY_DYNAMIC_DISPATCH(NormalizeScoresHere)(scores, count, exponent_scale, reference, factor);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
