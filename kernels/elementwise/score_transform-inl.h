// Vectors of scores, transformed on the way to the softmax. Per-target include guard, as Highway
// asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "hwy/highway.h"
#include "kernels/elementwise/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Kinds of transformation. Each says whether it changes scores, and whether it reads an element
// of ElementTag's type for each. In vectors of hn::CappedTag<float, 16>.

// softcap * tanh(multiplier * score) or, without a softcap, multiplier * score; + bias.
template <bool kSoftcap, bool kBias>
class Transformation {
 public:
  static constexpr bool kChanges = true;
  static constexpr bool kReads = kBias;

  using Tag = hn::CappedTag<float, 16>;
  using ElementTag = Tag;
  using Vector = hn::Vec<Tag>;

  HWY_INLINE Transformation(float multiplier, float softcap)
      : multiplier_(hn::Set(Tag(), multiplier)), softcap_(multiplier, softcap) {}

  HWY_INLINE Vector Of(Vector score) const {
    static_assert(!kBias);
    if constexpr (kSoftcap) return softcap_.Of(score);
    return hn::Mul(score, multiplier_);
  }
  HWY_INLINE Vector Of(Vector score, Vector bias) const {
    static_assert(kBias);
    if constexpr (kSoftcap) return hn::Add(softcap_.Of(score), bias);
    return hn::MulAdd(score, multiplier_, bias);
  }

 private:
  Vector multiplier_;
  Softcap softcap_;
};

// multiplier * score + bias; -infinity where the bias is. Selected, not added: a NaN score plus
// -infinity would still be NaN.
class AdditiveMask {
 public:
  static constexpr bool kChanges = true;
  static constexpr bool kReads = true;

  using ElementTag = hn::CappedTag<float, 16>;
  using Vector = hn::Vec<ElementTag>;

  HWY_INLINE explicit AdditiveMask(float multiplier)
      : multiplier_(hn::Set(ElementTag(), multiplier)) {}

  HWY_INLINE Vector Of(Vector score, Vector bias) const {
    const auto hidden = hn::Set(ElementTag(), -std::numeric_limits<float>::infinity());
    return hn::IfThenElse(hn::Eq(bias, hidden), hidden, hn::MulAdd(score, multiplier_, bias));
  }

 private:
  Vector multiplier_;
};

// -infinity where the byte is 0.
struct BooleanMask {
  static constexpr bool kChanges = true;
  static constexpr bool kReads = true;

  using Tag = hn::CappedTag<float, 16>;
  using ElementTag = hn::Rebind<uint8_t, Tag>;

  HWY_INLINE hn::Vec<Tag> Of(hn::Vec<Tag> score, hn::Vec<ElementTag> visible) const {
    const Tag d;
    const ElementTag bytes;
    const auto mask = hn::PromoteMaskTo(d, bytes, hn::Ne(visible, hn::Zero(bytes)));
    return hn::IfThenElse(mask, score, hn::Set(d, -std::numeric_limits<float>::infinity()));
  }
};

// -infinity where the segment is not that of the row.
class SegmentMask {
 public:
  static constexpr bool kChanges = true;
  static constexpr bool kReads = true;

  using Tag = hn::CappedTag<float, 16>;
  using ElementTag = hn::RebindToSigned<Tag>;

  HWY_INLINE explicit SegmentMask(int32_t segment) : segment_(hn::Set(ElementTag(), segment)) {}

  HWY_INLINE hn::Vec<Tag> Of(hn::Vec<Tag> score, hn::Vec<ElementTag> segment) const {
    const Tag d;
    return hn::IfThenElse(hn::RebindMask(d, hn::Eq(segment, segment_)), score,
                          hn::Set(d, -std::numeric_limits<float>::infinity()));
  }

 private:
  hn::Vec<ElementTag> segment_;
};

// Scores as they are.
struct NoTransformation {
  static constexpr bool kChanges = false;
  static constexpr bool kReads = false;

  using ElementTag = hn::CappedTag<float, 16>;
};

// A row of scores, and what its transformation reads: element i of both belongs to one key.
template <class Kind>
struct RowSource {
  using Element = hn::TFromD<typename Kind::ElementTag>;

  Kind kind;
  const Element* elements = nullptr;

  HWY_INLINE hn::Vec<hn::CappedTag<float, 16>> At(const float* scores, int64_t column) const {
    const hn::CappedTag<float, 16> d;
    const auto score = hn::LoadU(d, scores + column);
    if constexpr (!Kind::kChanges) {
      return score;
    } else if constexpr (Kind::kReads) {
      return kind.Of(score, hn::LoadU(typename Kind::ElementTag(), elements + column));
    } else {
      return kind.Of(score);
    }
  }
};

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
