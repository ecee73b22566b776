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

using Columns = WeighedColumns<kColumnMultiple>;

// Rows up to this long are weighed before their maximum is known.
constexpr int64_t kMaxKeptColumns = 512;

// Scores that become weights in place, and the sums of the weights by lanes.
template <bool kKeeps>
struct RowInPlace {
  float* scores;
  float* kept;  // where the scores go that the softmax read, if kKeeps
  FloatVector even_sums = hn::Zero(FloatTag());
  FloatVector odd_sums = hn::Zero(FloatTag());

  template <class Kind>
  HWY_INLINE FloatVector Weigh(int64_t column, const RowSource<Kind>& source,
                               const Exponents& exponents) {
    const FloatTag d;
    const auto score = source.At(scores, column);
    if constexpr (kKeeps) hn::StoreU(score, d, kept + column);
    const auto weight = Exp2(d, exponents.Of(score));
    hn::StoreU(weight, d, scores + column);
    return weight;
  }

  template <class Kind>
  HWY_INLINE void WeighColumns(int64_t begin, int64_t end, const RowSource<Kind>& source,
                               const Exponents& exponents) {
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
    int64_t column = begin;
    for (; column + 2 * lanes <= end; column += 2 * lanes) {
      even_sums = hn::Add(even_sums, Weigh(column, source, exponents));
      odd_sums = hn::Add(odd_sums, Weigh(column + lanes, source, exponents));
    }
    if (column < end) even_sums = hn::Add(even_sums, Weigh(column, source, exponents));
  }

  // All columns; the sum of each lane.
  template <class Kind>
  HWY_INLINE FloatVector WeighRow(const Columns& columns, const RowSource<Kind>& source,
                                  const Exponents& exponents) {
    if constexpr (!Kind::kChanges) {
      WeighColumns(columns.first, columns.padded, source, exponents);
    } else {
      const RowSource<NoTransformation> ready;
      WeighColumns(columns.first, columns.inner_begin, ready, exponents);
      WeighColumns(columns.inner_begin, columns.inner_end, source, exponents);
      WeighColumns(columns.inner_end, columns.padded, ready, exponents);
    }
    return hn::Add(even_sums, odd_sums);
  }
};

// With the true maximum as the reference, whatever the scores are. They have been transformed.
HWY_NOINLINE void WeighRowCarefully(const SoftmaxBlock& block, int64_t row,
                                    const Columns& columns) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  float* scores = block.scores + row * block.score_stride_elements;
  const int64_t count = columns.padded - columns.first;
  const float maximum =
      std::max(block.references[row], MaximumOfRow(scores + columns.first, count));
  if (maximum == kMinusInfinity) {
    // Only scores of -infinity are visible, and perhaps NaN, which must not be lost.
    if (ContainsNan(scores + columns.first, count)) {
      block.sums[row] = std::numeric_limits<float>::quiet_NaN();
    }
    std::fill_n(scores + columns.first, count, 0.0f);
    return;
  }
  const auto sums = RowInPlace<false>{scores, nullptr}.WeighRow(
      columns, RowSource<NoTransformation>(), Exponents(maximum, block.exponent_scales[row]));
  AddWeights(block, row, maximum, hn::ReduceSum(FloatTag(), sums));
}

template <class Kind>
HWY_INLINE void SoftmaxRow(const SoftmaxBlock& block, int64_t row, const RowSource<Kind>& source,
                           const RowStart<kColumnMultiple>& start) {
  const FloatTag d;
  float* scores = block.scores + row * block.score_stride_elements;
  if (block.visible_begins[row] == block.visible_ends[row]) {
    std::fill_n(scores, block.column_count, 0.0f);
    return;
  }
  const auto& [columns, reference] = start;
  if (columns.first > 0) std::fill_n(scores, columns.first, 0.0f);
  if (columns.padded < block.column_count) {
    std::fill(scores + columns.padded, scores + block.column_count, 0.0f);
  }
  if (!std::isfinite(reference) || columns.padded > kMaxKeptColumns) {
    if constexpr (Kind::kChanges) {
      TransformColumns(source, columns.inner_begin, columns.inner_end, scores);
    }
    return WeighRowCarefully(block, row, columns);
  }
  alignas(64) float kept[kMaxKeptColumns];
  const auto sums = RowInPlace<true>{scores, kept}.WeighRow(
      columns, source, Exponents(reference, block.exponent_scales[row]));
  if (!hn::AllTrue(d, hn::Le(sums, hn::Set(d, kMaxLaneSum)))) {  // also if a sum is NaN
    std::copy(kept + columns.first, kept + columns.padded, scores + columns.first);
    return WeighRowCarefully(block, row, columns);
  }
  AddWeights(block, row, reference, hn::ReduceSum(d, sums));
}

void SoftmaxToF32Here(const SoftmaxBlock& block) {
  ForSources<kColumnMultiple>(block, [&](const auto& source, int64_t row, const auto& start) {
    SoftmaxRow(block, row, source, start);
  });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SoftmaxToF32Here);

void SoftmaxToF32(const SoftmaxBlock& block) { HWY_DYNAMIC_DISPATCH(SoftmaxToF32Here)(block); }

}  // namespace attention::kernels
#endif  // HWY_ONCE
