#include "kernels/elementwise/score_rows.h"

#include <algorithm>
#include <limits>

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/score_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/score_transform-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// What a transformation consists of; the loops are made for each combination.
enum Part : unsigned { kSoftcap = 1, kRelativeBias = 2, kAdditive = 4, kVisible = 8 };
constexpr unsigned kCombinations = 16;

template <unsigned kParts>
using TransformationOf = Transformation<(kParts & kSoftcap) != 0, (kParts & kRelativeBias) != 0>;

// A row, and what scales, caps and biases its vectors.
template <unsigned kParts>
struct RowTransform {
  const ScoreTransform& transform;
  const TransformationOf<kParts> transformation;
};

// `load` reads whole vectors, or the rest of a row.
template <unsigned kParts, class Load, class LoadBytes>
HWY_INLINE FloatVector Transform(const RowTransform<kParts>& row, FloatVector score, int64_t column,
                                 const Load& load, const LoadBytes& load_bytes) {
  const ScoreTransform& transform = row.transform;
  const TransformationOf<kParts>& transformation = row.transformation;
  const FloatTag d;
  const auto hidden = hn::Set(d, -std::numeric_limits<float>::infinity());
  if constexpr ((kParts & kRelativeBias) != 0) {
    score = transformation.Of(score, load(transform.relative_bias + column));
  } else {
    score = transformation.Of(score);
  }
  if constexpr ((kParts & kAdditive) != 0) {
    const auto bias = load(transform.additive + column);
    // Selected, not added: a NaN score plus -infinity would still be NaN.
    score = hn::IfThenElse(hn::Eq(bias, hidden), hidden, hn::Add(score, bias));
  }
  if constexpr ((kParts & kVisible) != 0) {
    const hn::RebindToSigned<FloatTag> words;
    const auto visible = hn::PromoteTo(words, load_bytes(transform.visible + column));
    score = hn::IfThenElse(hn::RebindMask(d, hn::Ne(visible, hn::Zero(words))), score, hidden);
  }
  return score;
}

template <unsigned kParts>
void TransformRow(const ScoreTransform& transform, int64_t count, float* scores) {
  const FloatTag d;
  const hn::Rebind<uint8_t, FloatTag> bytes;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto load = [&](const float* source) { return hn::LoadU(d, source); };
  const auto load_bytes = [&](const uint8_t* source) { return hn::LoadU(bytes, source); };
  const RowTransform<kParts> row = {
      transform, TransformationOf<kParts>(transform.multiplier, transform.softcap)};
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    const auto score = hn::LoadU(d, scores + i);
    hn::StoreU(Transform<kParts>(row, score, i, load, load_bytes), d, scores + i);
  }
  if (i == count) return;
  const size_t rest = static_cast<size_t>(count - i);
  const auto load_rest = [&](const float* source) { return hn::LoadN(d, source, rest); };
  const auto load_rest_bytes = [&](const uint8_t* source) {
    return hn::LoadN(bytes, source, rest);
  };
  const auto score = hn::LoadN(d, scores + i, rest);
  hn::StoreN(Transform<kParts>(row, score, i, load_rest, load_rest_bytes), d, scores + i, rest);
}

using RowFunction = void (*)(const ScoreTransform&, int64_t, float*);

template <unsigned... kParts>
RowFunction FunctionOf(unsigned parts, std::integer_sequence<unsigned, kParts...>) {
  static constexpr RowFunction kFunctions[] = {TransformRow<kParts>...};
  return kFunctions[parts];
}

void TransformScoresHere(const ScoreTransform& transform, int64_t count, float* scores) {
  const unsigned parts = (transform.softcap > 0 ? kSoftcap : 0u) |
                         (transform.relative_bias != nullptr ? kRelativeBias : 0u) |
                         (transform.additive != nullptr ? kAdditive : 0u) |
                         (transform.visible != nullptr ? kVisible : 0u);
  FunctionOf(parts, std::make_integer_sequence<unsigned, kCombinations>())(transform, count,
                                                                           scores);
}

void CompareEqualHere(const int32_t* elements, int32_t wanted, int64_t count, uint8_t* equal) {
  const hn::CappedTag<int32_t, 16> d;
  const hn::Rebind<uint8_t, decltype(d)> bytes;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto segment = hn::Set(d, wanted);
  const auto one = hn::Set(d, 1);
  for (int64_t i = 0; i < count; i += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - i));
    const auto same = hn::Eq(hn::LoadN(d, elements + i, rest), segment);
    hn::StoreN(hn::DemoteTo(bytes, hn::IfThenElseZero(same, one)), bytes, equal + i, rest);
  }
}

bool AnySeenHere(const uint8_t* visible, const float* additive, int64_t count) {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  const auto any = [count](auto found, const auto& seen) {
    for (int64_t i = 0; i < count; ++i) found |= seen(i);
    return found != 0;
  };
  const auto shown = [&](int64_t i) -> uint32_t { return additive[i] != kHidden ? 1 : 0; };
  if (additive == nullptr) return any(uint8_t{0}, [&](int64_t i) { return visible[i]; });
  if (visible == nullptr) return any(uint32_t{0}, shown);
  return any(uint32_t{0}, [&](int64_t i) { return visible[i] != 0 ? shown(i) : 0; });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(TransformScoresHere);
HWY_EXPORT(CompareEqualHere);
HWY_EXPORT(AnySeenHere);

void TransformScores(const ScoreTransform& transform, int64_t count, float* scores) {
  HWY_DYNAMIC_DISPATCH(TransformScoresHere)(transform, count, scores);
}

void CompareEqual(const int32_t* elements, int32_t wanted, int64_t count, uint8_t* equal) {
  HWY_DYNAMIC_DISPATCH(CompareEqualHere)(elements, wanted, count, equal);
}

bool AnySeen(const uint8_t* visible, const float* additive, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(AnySeenHere)(visible, additive, count);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
