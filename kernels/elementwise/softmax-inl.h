// What both kinds of running softmax share. Per-target include guard, as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_SOFTMAX_INL_H_
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/exp2-inl.h"
#include "kernels/elementwise/score_transform-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// No lane's sum of weights may exceed this, or the row's reference is raised. It keeps sums far
// from the ends of f32.
constexpr float kMaxLaneSum = 1024;

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

// Transforms columns [begin, end) in place, whole vectors.
template <class Kind>
HWY_INLINE void TransformColumns(const RowSource<Kind>& source, int64_t begin, int64_t end,
                                 float* scores) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t column = begin; column < end; column += lanes) {
    hn::StoreU(source.At(scores, column), d, scores + column);
  }
}

// The columns of a row that are weighed: groups of kGroup columns, [first, padded). Those of
// [inner_begin, inner_end) are visible throughout; what is hidden of the others has been made
// -infinity, and they have been transformed.
template <int64_t kGroup>
struct WeighedColumns {
  int64_t first = 0;
  int64_t padded = 0;
  int64_t inner_begin = 0;
  int64_t inner_end = 0;

  WeighedColumns() = default;

  template <class Kind>
  HWY_INLINE WeighedColumns(const RowSource<Kind>& source, int64_t begin, int64_t end,
                            float* scores)
      : first(begin / kGroup * kGroup), padded(RoundUp(end, kGroup)) {
    constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
    inner_begin = begin == first ? first : first + kGroup;
    inner_end = std::max(inner_begin, end == padded ? padded : padded - kGroup);
    if constexpr (Kind::kChanges) {
      TransformColumns(source, first, inner_begin, scores);
      TransformColumns(source, inner_end, padded, scores);
    }
    if (first < begin) std::fill(scores + first, scores + begin, kMinusInfinity);
    if (end < padded) std::fill(scores + end, scores + padded, kMinusInfinity);
  }
};

// What turns scores of a row into exponents of 2.
struct Exponents {
  FloatVector reference;
  FloatVector scale;

  HWY_INLINE Exponents(float reference_in, float scale_in)
      : reference(hn::Set(FloatTag(), reference_in)), scale(hn::Set(FloatTag(), scale_in)) {}

  HWY_INLINE FloatVector Of(FloatVector score) const {
    return hn::Mul(hn::Sub(score, reference), scale);
  }
};

HWY_INLINE bool ContainsNan(const float* row, int64_t count) {
  bool found = false;
  for (int64_t column = 0; column < count; ++column) found |= std::isnan(row[column]);
  return found;
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

// What is likely to lie not far below the maximum: a new row guesses it from a few columns. Later
// blocks look at those columns only where scores are known to rise.
template <int64_t kGroup, class Kind>
HWY_INLINE float GuessReference(const SoftmaxBlock& block, int64_t row,
                                const WeighedColumns<kGroup>& columns,
                                const RowSource<Kind>& source) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  // Far below kMaxLaneSum, as an exponent of 2.
  constexpr float kMaxExponent = 6;
  const float old_reference = block.references[row];
  const bool knows_where = block.likely_maxima != nullptr;
  if (old_reference != kMinusInfinity && !knows_where) return old_reference;
  const float* scores = block.scores + row * block.score_stride_elements;
  const int64_t likely = knows_where ? block.likely_maxima[row] : block.visible_begins[row];
  const int64_t group = likely / kGroup * kGroup;
  float guess = 0;
  if (Kind::kChanges && group >= columns.inner_begin && group < columns.inner_end) {
    alignas(64) float transformed[kGroup];
    std::copy_n(scores + group, kGroup, transformed);
    const RowSource<Kind> shifted = {source.kind, Kind::kReads ? source.elements + group : nullptr};
    TransformColumns(shifted, 0, kGroup, transformed);
    guess = MaximumOfRow(transformed, kGroup);
  } else {
    guess = MaximumOfRow(scores + group, kGroup);
  }
  const bool near = (guess - old_reference) * block.exponent_scales[row] <= kMaxExponent;
  return near ? old_reference : std::max(guess, old_reference);
}

// What is known of a row that sees something, before it is weighed.
template <int64_t kGroup>
struct RowStart {
  WeighedColumns<kGroup> columns;
  float reference = 0;
};

// Weighs the rows of a block: of a few rows first the references, which each take a chain of
// dependent steps that would be waited for, then the weights.
template <int64_t kGroup, class SourceOf, class Weigh>
HWY_INLINE void ForRows(const SoftmaxBlock& block, const SourceOf& source_of, const Weigh& weigh) {
  constexpr int64_t kRowsAtOnce = 8;
  RowStart<kGroup> starts[kRowsAtOnce];
  for (int64_t first = 0; first < block.row_count; first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, block.row_count - first);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t row = first + i;
      const int64_t begin = block.visible_begins[row];
      const int64_t end = block.visible_ends[row];
      if (begin == end) continue;
      const auto source = source_of(row);
      float* scores = block.scores + row * block.score_stride_elements;
      starts[i].columns = WeighedColumns<kGroup>(source, begin, end, scores);
      starts[i].reference = GuessReference(block, row, starts[i].columns, source);
    }
    for (int64_t i = 0; i < count; ++i) weigh(source_of(first + i), first + i, starts[i]);
  }
}

// Calls weigh(source, row, start) for each row of a block.
template <int64_t kGroup, class Weigh>
HWY_INLINE void ForSources(const SoftmaxBlock& block, const Weigh& weigh) {
  const auto for_kind = [&](const auto& kind, auto elements) {
    using Kind = std::decay_t<decltype(kind)>;
    ForRows<kGroup>(
        block,
        [&](int64_t row) {
          if constexpr (Kind::kReads) {
            return RowSource<Kind>{kind, elements[block.first_row + row]};
          } else {
            return RowSource<Kind>{kind};
          }
        },
        weigh);
  };
  if (block.transform == nullptr) return for_kind(NoTransformation(), nullptr);
  const SoftmaxTransform& transform = *block.transform;
  if (transform.visible != nullptr) return for_kind(BooleanMask(), transform.visible);
  if (transform.column_segments != nullptr) {
    return ForRows<kGroup>(
        block,
        [&](int64_t row) {
          return RowSource<SegmentMask>{SegmentMask(transform.row_segments[block.first_row + row]),
                                        transform.column_segments};
        },
        weigh);
  }
  const float multiplier = transform.multiplier;
  const float softcap = transform.softcap;
  const float* const* biases = transform.biases;
  if (transform.biases_hide) return for_kind(AdditiveMask(multiplier), biases);
  const bool biased = biases != nullptr;
  if (softcap > 0 && biased) {
    return for_kind(Transformation<true, true>(multiplier, softcap), biases);
  }
  if (softcap > 0) return for_kind(Transformation<true, false>(multiplier, softcap), nullptr);
  if (biased) return for_kind(Transformation<false, true>(multiplier, softcap), biases);
  for_kind(Transformation<false, false>(multiplier, softcap), nullptr);
}

// Takes weights relative to `reference`, whose sum is `sum`, into the running softmax of a row.
HWY_INLINE void AddWeights(const SoftmaxBlock& block, int64_t row, float reference, float sum) {
  const float old_reference = block.references[row];
  if (reference == old_reference) {
    block.sums[row] += sum;
    return;
  }
  block.references[row] = reference;
  if (old_reference == -std::numeric_limits<float>::infinity()) {  // nothing to rescale but a NaN
    block.sums[row] += sum;
    return;
  }
  const float exponent = (old_reference - reference) * block.exponent_scales[row];
  const float rescale = exponent < kLeastExponent ? 0.0f : std::exp2(exponent);
  block.sums[row] = block.sums[row] * rescale + sum;
  ScaleRow(block.outputs + row * block.output_stride_elements, block.output_count, rescale);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
