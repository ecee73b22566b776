#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
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

// Into a list whose last weight, if it is full, is smaller.
HWY_INLINE void Insert(float weight, int64_t key, TopList& list) {
  int64_t place = std::min(list.count, list.capacity - 1);
  list.count = std::min(list.count + 1, list.capacity);
  for (; place > 0 && list.weights[place - 1] < weight; --place) {
    list.weights[place] = list.weights[place - 1];
    list.keys[place] = list.keys[place - 1];
  }
  list.weights[place] = weight;
  list.keys[place] = static_cast<int32_t>(key);
}

// At least list.capacity of the weights are as great as this: of the greatest ones of each lane it
// is the one of that rank. 0 if lanes are too few, or if the list knows better.
HWY_INLINE float LowerBoundOfTop(const float* weights, int64_t count, const TopList& list) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  if (list.count == list.capacity || list.capacity > lanes || count < lanes) return 0.0f;
  auto maxima = hn::Zero(d);
  for (int64_t i = 0; i + lanes <= count; i += lanes) {
    maxima = hn::Max(hn::LoadU(d, weights + i), maxima);  // keeps the second operand beside a NaN
  }
  alignas(64) float sorted[hn::MaxLanes(d)];
  hn::Store(maxima, d, sorted);
  std::nth_element(sorted, sorted + list.capacity - 1, sorted + lanes, std::greater<>());
  return sorted[list.capacity - 1];
}

void TakeIntoTopHere(const float* weights, int64_t count, int64_t first_key, TopList& list) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const float bound = LowerBoundOfTop(weights, count, list);
  // What is not greater is left out.
  const auto threshold = [&] {
    const float least = list.count < list.capacity ? 0.0f : list.weights[list.capacity - 1];
    return bound > least ? std::nextafter(bound, 0.0f) : least;
  };
  float least = threshold();
  const auto take = [&](int64_t i) {
    if (!(weights[i] > least)) return;
    Insert(weights[i], first_key + i, list);
    least = threshold();
  };
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto greater = hn::Gt(hn::LoadU(d, weights + i), hn::Set(d, least));
    uint64_t bits = 0;
    hn::StoreMaskBits(d, greater, reinterpret_cast<uint8_t*>(&bits));
    for (; bits != 0; bits &= bits - 1) {
      take(i + std::countr_zero(bits));
    }
  }
  for (; i < count; ++i) take(i);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(NormalizeScoresHere);
HWY_EXPORT(NormalizeAndSummarizeHere);
HWY_EXPORT(AddToSumsHere);
HWY_EXPORT(TakeIntoTopHere);

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

void TakeIntoTop(const float* weights, int64_t count, int64_t first_key, TopList& list) {
  HWY_DYNAMIC_DISPATCH(TakeIntoTopHere)(weights, count, first_key, list);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
