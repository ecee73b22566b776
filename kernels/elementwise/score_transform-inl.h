// Vectors of scores, transformed on the way to the softmax. Per-target include guard, as Highway
// asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_SCORE_TRANSFORM_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/elementwise/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// softcap * tanh(multiplier * score) or, without a softcap, multiplier * score; + bias. In vectors
// of hn::CappedTag<float, 16>.
template <bool kSoftcap, bool kBias>
class Transformation {
 public:
  static constexpr bool kChanges = true;
  static constexpr bool kReadsBias = kBias;

  using Tag = hn::CappedTag<float, 16>;
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

// Scores as they are.
struct NoTransformation {
  static constexpr bool kChanges = false;
  static constexpr bool kReadsBias = false;
};

// A row of scores, and the biases that are added to it: element i of both belongs to one key.
template <class Kind>
struct RowSource {
  Kind kind;
  const float* biases = nullptr;

  HWY_INLINE hn::Vec<hn::CappedTag<float, 16>> At(const float* scores, int64_t column) const {
    const hn::CappedTag<float, 16> d;
    const auto score = hn::LoadU(d, scores + column);
    if constexpr (!Kind::kChanges) {
      return score;
    } else if constexpr (Kind::kReadsBias) {
      return kind.Of(score, hn::LoadU(d, biases + column));
    } else {
      return kind.Of(score);
    }
  }
};

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
