// Exponents of capped scores for weights in BF16. Per-target include guard, as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_CAPPED_EXPONENTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_CAPPED_EXPONENTS_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_CAPPED_EXPONENTS_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_CAPPED_EXPONENTS_INL_H_
#endif

#include "hwy/highway.h"
#include "kernels/elementwise/tanh-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// scale * softcap * tanh(multiplier * score) - scale * reference, in one polynomial where
// |multiplier * score| <= 1/2: relative error of the tanh at most 2.3e-5. Others take the long way.
// What a lane gives does not depend on its neighbours.
//
// Whether all lanes are small is found out while they are computed, which costs half as much as
// looking first: with kAllSmall the results count only if AllWereSmall() says so at the end.
template <bool kAllSmall>
class CappedExponents {
 public:
  using Tag = hn::CappedTag<float, 16>;
  using Vector = hn::Vec<Tag>;

  HWY_INLINE CappedExponents(float multiplier, float softcap, float reference, float scale)
      : multiplier_(hn::Set(Tag(), multiplier)),
        scaled_softcap_(hn::Set(Tag(), softcap * scale)),
        scaled_reference_(hn::Set(Tag(), reference * scale)),
        largest_small_square_(hn::Set(Tag(), Softcap::LargestSmallSquare(multiplier))) {
    constexpr float kCoefficients[] = {0.99997743569f, -0.33169150688f, 0.11520976428f};
    float power = multiplier * softcap * scale;
    for (int i = 0; i < kTerms; ++i, power *= multiplier * multiplier) {
      coefficients_[i] = hn::Set(Tag(), kCoefficients[i] * power);
    }
  }

  // Whether it is exact enough: to 2^-10 of an exponent, a third of what rounding a weight to BF16
  // takes away.
  HWY_INLINE static bool Suffices(float softcap, float scale) { return softcap * scale <= 80.0f; }

  HWY_INLINE Vector Of(Vector score) {
    const Tag d;
    const Vector square = hn::Mul(score, score);
    Vector p = hn::MulAdd(coefficients_[2], square, coefficients_[1]);
    p = hn::MulAdd(p, square, coefficients_[0]);
    const Vector near_zero = hn::MulSub(score, p, scaled_reference_);
    if constexpr (kAllSmall) {
      largest_square_ = hn::Max(square, largest_square_);  // keeps the second operand beside a NaN
      return near_zero;
    } else {
      const auto small = hn::Le(square, largest_small_square_);
      const Vector tanh = Tanh(d, hn::Mul(score, multiplier_));
      return hn::IfThenElse(small, near_zero, hn::MulSub(tanh, scaled_softcap_, scaled_reference_));
    }
  }

  [[nodiscard]] HWY_INLINE bool AllWereSmall() const {
    return hn::AllTrue(Tag(), hn::Le(largest_square_, largest_small_square_));
  }

 private:
  static constexpr int kTerms = 3;

  Vector multiplier_;
  Vector scaled_softcap_;
  Vector scaled_reference_;
  Vector largest_small_square_;
  Vector coefficients_[kTerms];
  Vector largest_square_ = hn::Zero(Tag());
};

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
