#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/softmax_bf16.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/bf16_parts-inl.h"
#include "kernels/elementwise/capped_exponents-inl.h"
#include "kernels/elementwise/exp2-inl.h"
#include "kernels/elementwise/softmax-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

using WordTag = hn::RebindToUnsigned<FloatTag>;

// Half a unit of BF16's last place, in the words of f32.
constexpr uint32_t kHalfUnit = 0x8000;

// Rounds to BF16 by adding half a unit before truncating.
template <bool kExactSums>
struct OnePart {
  static constexpr bool kRounds = !kExactSums;  // all that is kept is rounded to BF16

  uint16_t* row;
  FloatVector sums = hn::Zero(FloatTag());

  // For sums of what is stored, the half unit is part of the polynomial's constant.
  HWY_INLINE FloatVector Exponential(FloatTag d, FloatVector t) const {
    return kExactSums ? Exp2(d, t) : Exp2RoundedToBF16(d, t);
  }

  HWY_INLINE void Take(FloatTag d, int64_t pair_column, FloatVector low, FloatVector high) {
    const WordTag words;
    const hn::Repartition<hwy::bfloat16_t, FloatTag> halves;
    auto low_words = hn::BitCast(words, low);
    auto high_words = hn::BitCast(words, high);
    if (kExactSums) {
      sums = hn::Add(sums, hn::Add(low, high));
      low_words = hn::Add(low_words, hn::Set(words, kHalfUnit));
      high_words = hn::Add(high_words, hn::Set(words, kHalfUnit));
    }
    const auto pairs = hn::BitCast(halves, UpperHalves(words, low_words, high_words));
    hn::StoreU(pairs, halves, reinterpret_cast<hwy::bfloat16_t*>(row + pair_column));
    if (kExactSums) return;
    // Counts what was stored, so that rounding does not bias the normalization.
    auto second_sums = hn::Zero(d);
    sums = hn::ReorderWidenMulAccumulate(d, pairs, hn::BitCast(halves, hn::Set(words, 0x3F803F80)),
                                         sums, second_sums);
    if (HWY_TARGET > HWY_AVX3_SPR) sums = hn::Add(sums, second_sums);
  }
};

// high + middle (+ low) by truncation; what the last part leaves is below its last place.
template <int kParts>
struct SplitParts {
  static constexpr bool kRounds = false;

  uint16_t* row;
  int64_t part_stride;
  FloatVector sums = hn::Zero(FloatTag());

  HWY_INLINE FloatVector Exponential(FloatTag d, FloatVector t) const { return Exp2(d, t); }

  HWY_INLINE void Take(FloatTag d, int64_t pair_column, FloatVector low, FloatVector high) {
    const WordTag words;
    const auto upper = hn::Set(words, 0xFFFF0000);
    sums = hn::Add(sums, hn::Add(low, high));
    uint16_t* target = row + pair_column;
    for (int part = 0; part < kParts; ++part) {
      auto low_words = hn::BitCast(words, low);
      auto high_words = hn::BitCast(words, high);
      if (kParts == 2 && part == 1) {  // nothing follows: round
        low_words = hn::Add(low_words, hn::Set(words, kHalfUnit));
        high_words = hn::Add(high_words, hn::Set(words, kHalfUnit));
      }
      hn::StoreU(UpperHalves(words, low_words, high_words), words,
                 reinterpret_cast<uint32_t*>(target));
      low = hn::Sub(low, hn::BitCast(d, hn::And(low_words, upper)));
      high = hn::Sub(high, hn::BitCast(d, hn::And(high_words, upper)));
      target += part_stride;
    }
  }
};

// The same as Exponents with one rounding less to compute and one more to suffer, of the scaled
// reference: at most 2^-15 in the exponent, far below a rounding to BF16.
struct FusedExponents {
  FloatVector scaled_reference;
  FloatVector scale;

  HWY_INLINE FusedExponents(float reference, float scale_in)
      : scaled_reference(hn::Set(FloatTag(), reference * scale_in)),
        scale(hn::Set(FloatTag(), scale_in)) {}

  HWY_INLINE static bool Suffices(float reference, float scale) {
    return std::abs(reference * scale) <= 512.0f;
  }
  HWY_INLINE FloatVector Of(FloatVector score) const {
    return hn::MulSub(score, scale, scaled_reference);
  }
};

// Stores the weights of columns [begin, end).
template <class Kind, class RowExponents, class Parts>
HWY_INLINE void WeighColumns(const float* scores, int64_t begin, int64_t end,
                             const RowSource<Kind>& source, RowExponents& exponents, Parts& parts) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto weigh = [&](int64_t column) {
    return parts.Exponential(d, exponents.Of(source.At(scores, column)));
  };
  for (int64_t column = begin; column < end; column += kPairedColumns) {
    for (int64_t lane = 0; lane < kPairDistance; lane += lanes) {
      const auto low = weigh(column + lane);
      const auto high = weigh(column + kPairDistance + lane);
      parts.Take(d, column + 2 * lane, low, high);
    }
  }
}

using Columns = WeighedColumns<kPairedColumns>;

// Stores the weights of a row; the sum of each lane.
template <class Kind, class RowExponents, class Parts>
HWY_INLINE FloatVector WeighRow(const float* scores, const Columns& columns,
                                const RowSource<Kind>& source, RowExponents exponents,
                                Parts parts) {
  if constexpr (!Kind::kChanges) {
    WeighColumns(scores, columns.first, columns.padded, source, exponents, parts);
  } else {
    const RowSource<NoTransformation> ready;
    WeighColumns(scores, columns.first, columns.inner_begin, ready, exponents, parts);
    WeighColumns(scores, columns.inner_begin, columns.inner_end, source, exponents, parts);
    WeighColumns(scores, columns.inner_end, columns.padded, ready, exponents, parts);
  }
  return parts.sums;
}

// The same with capped scores, the cap of inner columns taken into their exponents. `all_small`:
// whether all of them are expected to be small; found out on the way.
template <class Parts>
HWY_INLINE FloatVector WeighCappedRow(const SoftmaxBlock& block, const Columns& columns,
                                      int64_t row, float reference, Parts parts, bool& all_small) {
  const float* scores = block.scores + row * block.score_stride_elements;
  const float scale = block.exponent_scales[row];
  const auto weigh = [&](auto capped, Parts row_parts) {
    FusedExponents exponents(reference, scale);
    const RowSource<NoTransformation> as_is;
    WeighColumns(scores, columns.first, columns.inner_begin, as_is, exponents, row_parts);
    WeighColumns(scores, columns.inner_begin, columns.inner_end, as_is, capped, row_parts);
    WeighColumns(scores, columns.inner_end, columns.padded, as_is, exponents, row_parts);
    all_small = all_small && capped.AllWereSmall();
    return row_parts.sums;
  };
  const float multiplier = block.transform->multiplier;
  const float softcap = block.transform->softcap;
  if (all_small) {
    const FloatVector sums =
        weigh(CappedExponents<true>(multiplier, softcap, reference, scale), parts);
    if (all_small) return sums;
  }
  return weigh(CappedExponents<false>(multiplier, softcap, reference, scale), parts);
}

template <class Parts>
HWY_INLINE void ZeroWeights(Parts parts, int64_t begin, int64_t end) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t column = begin; column < end; column += 2 * lanes) {
    parts.Take(d, column, hn::Zero(d), hn::Zero(d));
  }
}

// With the true maximum as the reference, whatever the scores are. They have been transformed.
template <class Parts>
HWY_NOINLINE void WeighRowCarefully(const SoftmaxBlock& block, int64_t row, const Columns& columns,
                                    Parts parts) {
  constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();
  const float* scores = block.scores + row * block.score_stride_elements;
  const int64_t count = columns.padded - columns.first;
  const float maximum =
      std::max(block.references[row], MaximumOfRow(scores + columns.first, count));
  if (maximum == kMinusInfinity) {
    if (ContainsNan(scores + columns.first, count)) {
      block.sums[row] = std::numeric_limits<float>::quiet_NaN();
    }
    ZeroWeights(parts, 0, block.column_count);
    return;
  }
  ZeroWeights(parts, 0, columns.first);
  const auto sums = WeighRow(scores, columns, RowSource<NoTransformation>(),
                             Exponents(maximum, block.exponent_scales[row]), parts);
  ZeroWeights(parts, columns.padded, block.column_count);
  AddWeights(block, row, maximum, hn::ReduceSum(FloatTag(), sums));
}

// `all_small`: whether to expect that of the scores; found out by the way.
template <class Kind, class Parts>
HWY_INLINE void SoftmaxRow(const SoftmaxBlock& block, int64_t row, const RowSource<Kind>& source,
                           const RowStart<kPairedColumns>& start, Parts parts, bool& all_small) {
  const FloatTag d;
  if (block.visible_begins[row] == block.visible_ends[row]) {
    return ZeroWeights(parts, 0, block.column_count);
  }
  float* scores = block.scores + row * block.score_stride_elements;
  const Columns& columns = start.columns;
  const float reference = start.reference;
  const auto weigh_carefully = [&] {
    if constexpr (Kind::kChanges) {
      TransformColumns(source, columns.inner_begin, columns.inner_end, scores);
    }
    WeighRowCarefully(block, row, columns, parts);
  };
  if (!std::isfinite(reference)) return weigh_carefully();
  const float scale = block.exponent_scales[row];
  const auto weigh = [&] {
    if (!Parts::kRounds || !FusedExponents::Suffices(reference, scale)) {
      return WeighRow(scores, columns, source, Exponents(reference, scale), parts);
    }
    if constexpr (std::is_same_v<Kind, Transformation<true, false>>) {
      if (CappedExponents<true>::Suffices(block.transform->softcap, scale)) {
        return WeighCappedRow(block, columns, row, reference, parts, all_small);
      }
    }
    return WeighRow(scores, columns, source, FusedExponents(reference, scale), parts);
  };
  const FloatVector sums = weigh();
  if (!hn::AllTrue(d, hn::Le(sums, hn::Set(d, kMaxLaneSum)))) {  // also if a sum is NaN
    return weigh_carefully();
  }
  if (columns.first > 0) ZeroWeights(parts, 0, columns.first);
  if (columns.padded < block.column_count) ZeroWeights(parts, columns.padded, block.column_count);
  AddWeights(block, row, reference, hn::ReduceSum(d, sums));
}

void SoftmaxToBF16Here(const SoftmaxBlock& block, const BF16Weights& weights) {
  bool all_small = true;
  ForSources<kPairedColumns>(block, [&](const auto& source, int64_t row, const auto& start) {
    uint16_t* target = weights.parts + row * weights.row_stride_elements;
    const auto softmax = [&](auto parts) {
      SoftmaxRow(block, row, source, start, parts, all_small);
    };
    if (weights.part_count == 1 && weights.exact_sums) return softmax(OnePart<true>{target});
    if (weights.part_count == 1) return softmax(OnePart<false>{target});
    const int64_t part_stride = weights.part_stride_elements;
    if (weights.part_count == 2) return softmax(SplitParts<2>{target, part_stride});
    softmax(SplitParts<3>{target, part_stride});
  });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SoftmaxToBF16Here);

void SoftmaxToBF16(const SoftmaxBlock& block, const BF16Weights& weights) {
  HWY_DYNAMIC_DISPATCH(SoftmaxToBF16Here)(block, weights);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
