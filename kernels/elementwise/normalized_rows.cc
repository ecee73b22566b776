#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/normalized_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/exp2-inl.h"
#include "kernels/elementwise/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

// Calls take(exponents, weights) for each vector of a row; lanes beyond the row are hidden.
template <class Take>
HWY_INLINE void NormalizeRow(const float* scores, int64_t count, const RowNormalizer& normalizer,
                             float* weights, const Take& take) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const Exponents exponents(normalizer.reference, normalizer.exponent_scale);
  const auto factors = hn::Set(d, normalizer.factor);
  const auto hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  const auto weigh = [&](FloatVector score) {
    const auto exponent = exponents.Of(score);
    const auto product = hn::Mul(Exp2(d, exponent, kLeastNormalExponent), factors);
    const auto weight = hn::IfThenZeroElse(hn::Eq(score, hidden), product);
    take(exponent, weight);
    return weight;
  };
  int64_t column = 0;
  for (; column + lanes <= count; column += lanes) {
    hn::StoreU(weigh(hn::LoadU(d, scores + column)), d, weights + column);
  }
  if (column == count) return;
  const size_t rest = static_cast<size_t>(count - column);
  hn::StoreN(weigh(hn::LoadNOr(hidden, d, scores + column, rest)), d, weights + column, rest);
}

void NormalizeScoresHere(const float* scores, int64_t count, const RowNormalizer& normalizer,
                         float* weights) {
  NormalizeRow(scores, count, normalizer, weights, [](FloatVector, FloatVector) {});
}

WeightSummary NormalizeAndSummarizeHere(const float* scores, int64_t count,
                                        const RowNormalizer& normalizer, float* weights) {
  const FloatTag d;
  // Below it a weight is 0: keeps what is hidden, 0 * -infinity, from being NaN.
  const auto lowest = hn::Set(d, -256.0f);
  auto sum = hn::Zero(d);
  auto exponent_sum = hn::Zero(d);
  auto maximum = hn::Zero(d);
  const auto own = hn::Set(d, std::log2(normalizer.factor));
  const auto own_exponent = hn::IfThenElse(hn::IsFinite(own), own, hn::Zero(d));
  NormalizeRow(scores, count, normalizer, weights, [&](FloatVector exponent, FloatVector weight) {
    sum = hn::Add(sum, weight);
    const auto whole = hn::Add(hn::Max(exponent, lowest), own_exponent);
    exponent_sum = hn::MulAdd(weight, whole, exponent_sum);
    maximum = hn::Max(weight, maximum);
  });
  WeightSummary summary = {.sum = hn::ReduceSum(d, sum),
                           .exponent_sum = hn::ReduceSum(d, exponent_sum),
                           .maximum = hn::ReduceMax(d, maximum)};
  if (std::isnan(summary.sum)) summary.maximum = summary.exponent_sum = summary.sum;
  return summary;
}

void AddToSumsHere(const float* weights, int64_t count, double* sums) {
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto weight = hn::PromoteTo(d, hn::LoadU(narrow, weights + i));
    hn::StoreU(hn::Add(hn::LoadU(d, sums + i), weight), d, sums + i);
  }
  for (; i < count; ++i) sums[i] += static_cast<double>(weights[i]);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(NormalizeScoresHere);
HWY_EXPORT(NormalizeAndSummarizeHere);
HWY_EXPORT(AddToSumsHere);

void NormalizeScores(const float* scores, int64_t count, const RowNormalizer& normalizer,
                     float* weights) {
  HWY_DYNAMIC_DISPATCH(NormalizeScoresHere)(scores, count, normalizer, weights);
}

WeightSummary NormalizeAndSummarize(const float* scores, int64_t count,
                                    const RowNormalizer& normalizer, float* weights) {
  return HWY_DYNAMIC_DISPATCH(NormalizeAndSummarizeHere)(scores, count, normalizer, weights);
}

void AddToSums(const float* weights, int64_t count, double* sums) {
  HWY_DYNAMIC_DISPATCH(AddToSumsHere)(weights, count, sums);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
