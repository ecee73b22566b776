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

// Transforms columns [begin, end) in place; their maximum, or `maximum` if that is greater.
template <class Kind>
HWY_INLINE float TransformedMaximum(const RowSource<Kind>& source, int64_t begin, int64_t end,
                                    float* scores) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto maximum = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int64_t column = begin; column < end; column += lanes) {
    const auto score = source.At(scores, column);
    hn::StoreU(score, d, scores + column);
    maximum = hn::Max(score, maximum);
  }
  return hn::ReduceMax(d, maximum);
}

template <class Kind>
HWY_INLINE float MaximumOf(const RowSource<Kind>& source,
                           const WeighedColumns<kColumnMultiple>& columns, float* scores) {
  if constexpr (Kind::kChanges) {
    const float inner =
        TransformedMaximum(source, columns.inner_begin, columns.inner_end, scores);
    const float before =
        MaximumOfRow(scores + columns.first, columns.inner_begin - columns.first);
    const float after =
        MaximumOfRow(scores + columns.inner_end, columns.padded - columns.inner_end);
    return std::max({inner, before, after});
  }
  return MaximumOfRow(scores + columns.first, columns.padded - columns.first);
}

template <class Kind>
HWY_INLINE void SoftmaxRow(const SoftmaxBlock& block, int64_t row, const RowSource<Kind>& source) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  const int64_t begin = block.visible_begins[row];
  const int64_t end = block.visible_ends[row];
  float* scores = block.scores + row * block.score_stride_elements;
  if (begin == end) {
    std::fill_n(scores, block.column_count, 0.0f);
    return;
  }
  const WeighedColumns<kColumnMultiple> columns(source, begin, end, scores);
  const float maximum = std::max(block.references[row], MaximumOf(source, columns, scores));
  if (maximum == kMinusInfinity) {
    // Only scores of -infinity are visible, and perhaps NaN, which must not be lost.
    if (ContainsNan(scores + begin, end - begin)) {
      block.sums[row] = std::numeric_limits<float>::quiet_NaN();
    }
    std::fill_n(scores, block.column_count, 0.0f);
    return;
  }
  const float sum = WeighRow(scores + columns.first, columns.padded - columns.first,
                             Exponents(maximum, block.exponent_scales[row]));
  if (columns.first > 0) std::fill_n(scores, columns.first, 0.0f);
  if (columns.padded < block.column_count) {
    std::fill(scores + columns.padded, scores + block.column_count, 0.0f);
  }
  AddWeights(block, row, maximum, sum);
}

void SoftmaxToF32Here(const SoftmaxBlock& block) {
  ForSources(block, [&](const auto& source, int64_t row) { SoftmaxRow(block, row, source); });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SoftmaxToF32Here);

void SoftmaxToF32(const SoftmaxBlock& block) { HWY_DYNAMIC_DISPATCH(SoftmaxToF32Here)(block); }

}  // namespace attention::kernels
#endif  // HWY_ONCE
