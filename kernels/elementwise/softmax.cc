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

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

using FloatTag = hn::CappedTag<float, 16>;

// `count` is a multiple of kColumnMultiple, and of any number of lanes. A NaN may be dropped: the
// weights bring it back.
HWY_INLINE float MaximumOfRow(const float* row, int64_t count) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto maximum0 = hn::Set(d, -std::numeric_limits<float>::infinity());
  auto maximum1 = maximum0;
  int64_t column = 0;
  for (; column + 2 * lanes <= count; column += 2 * lanes) {
    maximum0 = hn::Max(hn::LoadU(d, row + column), maximum0);
    maximum1 = hn::Max(hn::LoadU(d, row + column + lanes), maximum1);
  }
  if (column < count) maximum0 = hn::Max(hn::LoadU(d, row + column), maximum0);
  return hn::ReduceMax(d, hn::Max(maximum0, maximum1));
}

HWY_INLINE void ScaleRow(float* row, int64_t count, float factor) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factors = hn::Set(d, factor);
  int64_t column = 0;
  for (; column + lanes <= count; column += lanes) {
    hn::StoreU(hn::Mul(hn::LoadU(d, row + column), factors), d, row + column);
  }
  for (; column < count; ++column) row[column] *= factor;
}

// Where the weights of a row go; `Store` takes two vectors' worth of them.
struct F32Weights {
  float* row;
  template <class V>
  HWY_INLINE void Store(FloatTag d, int64_t column, V low, V high) const {
    hn::StoreU(low, d, row + column);
    hn::StoreU(high, d, row + column + static_cast<int64_t>(hn::Lanes(d)));
  }
  HWY_INLINE void Zero(int64_t begin, int64_t end) const {
    std::fill(row + begin, row + end, 0.0f);
  }
};

struct BF16Weights {
  hwy::bfloat16_t* row;
  template <class V>
  HWY_INLINE void Store(FloatTag /*d*/, int64_t column, V low, V high) const {
    const hn::Repartition<hwy::bfloat16_t, FloatTag> half_words;
    hn::StoreU(hn::OrderedDemote2To(half_words, low, high), half_words, row + column);
  }
  HWY_INLINE void Zero(int64_t begin, int64_t end) const {
    std::fill(row + begin, row + end, hwy::bfloat16_t{});
  }
};

// Writes 2^((score - maximum) * scale) for `count` columns and returns their sum.
template <class Weights>
HWY_INLINE float WeighRow(const float* row, int64_t count, float scale, float maximum,
                          Weights weights) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto scales = hn::Set(d, scale);
  const auto maxima = hn::Set(d, maximum);
  auto sum_low = hn::Zero(d);
  auto sum_high = hn::Zero(d);
  for (int64_t column = 0; column < count; column += 2 * lanes) {
    const auto below_low = hn::Sub(hn::LoadU(d, row + column), maxima);
    const auto below_high = hn::Sub(hn::LoadU(d, row + column + lanes), maxima);
    const auto low = Exp2(d, hn::Mul(below_low, scales));
    const auto high = Exp2(d, hn::Mul(below_high, scales));
    sum_low = hn::Add(sum_low, low);
    sum_high = hn::Add(sum_high, high);
    weights.Store(d, column, low, high);
  }
  return hn::ReduceSum(d, hn::Add(sum_low, sum_high));
}

template <class Weights>
HWY_INLINE void SoftmaxRow(const SoftmaxBlock& block, int64_t row, Weights weights) {
  const int64_t visible = block.visible_counts[row];
  float* scores = block.scores + row * block.score_stride_elements;
  const int64_t padded = RoundUp(visible, kColumnMultiple);
  std::fill(scores + visible, scores + padded, -std::numeric_limits<float>::infinity());
  const float old_maximum = block.maxima[row];
  const float maximum =
      visible == 0 ? old_maximum : std::max(old_maximum, MaximumOfRow(scores, padded));
  if (visible == 0 || maximum == -std::numeric_limits<float>::infinity()) {
    // Either nothing is visible, or only scores of -infinity (and perhaps NaN, which must not be
    // lost).
    bool has_nan = false;
    for (int64_t column = 0; column < visible; ++column) has_nan |= std::isnan(scores[column]);
    if (has_nan) block.sums[row] = std::numeric_limits<float>::quiet_NaN();
    weights.Zero(0, block.column_count);
    return;
  }
  const float sum = WeighRow(scores, padded, block.exponent_scale, maximum, weights);
  if (padded < block.column_count) weights.Zero(padded, block.column_count);
  if (maximum == old_maximum) {
    block.sums[row] += sum;
    return;
  }
  const float rescale = std::exp2((old_maximum - maximum) * block.exponent_scale);
  block.maxima[row] = maximum;
  block.sums[row] = block.sums[row] * rescale + sum;
  if (old_maximum != -std::numeric_limits<float>::infinity()) {
    ScaleRow(block.outputs + row * block.output_stride_elements, block.output_count, rescale);
  }
}

void SoftmaxToF32Here(const SoftmaxBlock& block) {
  for (int64_t row = 0; row < block.row_count; ++row) {
    SoftmaxRow(block, row, F32Weights{block.scores + row * block.score_stride_elements});
  }
}

void SoftmaxToBF16Here(const SoftmaxBlock& block, uint16_t* weights,
                       int64_t weight_stride_elements) {
  auto* typed = reinterpret_cast<hwy::bfloat16_t*>(weights);
  for (int64_t row = 0; row < block.row_count; ++row) {
    SoftmaxRow(block, row, BF16Weights{typed + row * weight_stride_elements});
  }
}

void NormalizeScoresHere(float* scores, int64_t count, float exponent_scale, float maximum,
                         float factor) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto scales = hn::Set(d, exponent_scale);
  const auto maxima = hn::Set(d, maximum);
  const auto factors = hn::Set(d, factor);
  for (int64_t column = 0; column < count; column += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - column));
    const auto below = hn::Sub(hn::LoadN(d, scores + column, rest), maxima);
    hn::StoreN(hn::Mul(Exp2(d, hn::Mul(below, scales)), factors), d, scores + column, rest);
  }
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SoftmaxToF32Here);
HWY_EXPORT(SoftmaxToBF16Here);
HWY_EXPORT(NormalizeScoresHere);

void SoftmaxToF32(const SoftmaxBlock& block) { HWY_DYNAMIC_DISPATCH(SoftmaxToF32Here)(block); }

void SoftmaxToBF16(const SoftmaxBlock& block, uint16_t* weights, int64_t weight_stride_elements) {
  HWY_DYNAMIC_DISPATCH(SoftmaxToBF16Here)(block, weights, weight_stride_elements);
}

void NormalizeScores(float* scores, int64_t count, float exponent_scale, float maximum,
                     float factor) {
  HWY_DYNAMIC_DISPATCH(NormalizeScoresHere)(scores, count, exponent_scale, maximum, factor);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
