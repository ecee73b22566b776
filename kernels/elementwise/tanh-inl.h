// tanh on vectors, for each instruction set that includes this. Per-target include guard, as
// Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_
#endif

#include <cmath>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// tanh by x times a minimax rational function of x^2, relative error at most 1.5e-8 on [-8.7, 8.7]
// before rounding; beyond, tanh is 1 - 5.6e-8. Infinite arguments give 1 or -1, NaN gives NaN.
// Highway's own is much longer.
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  const V limit = hn::Set(d, 8.7f);
  // The second operand is what a comparison with NaN leaves.
  x = hn::Max(hn::Neg(limit), hn::Min(limit, x));
  const V square = hn::Mul(x, x);
  V p = hn::Set(d, 1.3897678563523641e-08f);
  V q = hn::Set(d, 7.996546855792985e-07f);
  p = hn::MulAdd(p, square, hn::Set(d, 2.0993866201024503e-05f));
  q = hn::MulAdd(q, square, hn::Set(d, 3.323651326354593e-04f));
  p = hn::MulAdd(p, square, hn::Set(d, 3.5187460016459227e-03f));
  q = hn::MulAdd(q, square, hn::Set(d, 2.5964900851249695e-02f));
  p = hn::MulAdd(p, square, hn::Set(d, 1.3400468230247498e-01f));
  q = hn::MulAdd(q, square, hn::Set(d, 4.6733787655830383e-01f));
  p = hn::MulAdd(p, square, hn::Set(d, 1.0f));
  q = hn::MulAdd(q, square, hn::Set(d, 1.0f));
  return hn::Div(hn::Mul(x, p), q);
}

// softcap * tanh(multiplier * score), relative error at most 4e-7: what is small is multiplied by
// what may be large.
//
// Most scores lie below half their cap: there score times a minimax polynomial in score^2, relative
// error at most 1.5e-8 before rounding, does, whose coefficients take in multiplier and softcap.
// What a lane gives does not depend on its neighbours.
class Softcap {
 public:
  using Tag = hn::CappedTag<float, 16>;
  using Vector = hn::Vec<Tag>;

  HWY_INLINE Softcap(float multiplier, float softcap)
      : multiplier_(hn::Set(Tag(), multiplier)),
        softcap_(hn::Set(Tag(), softcap)),
        largest_square_(hn::Set(Tag(), LargestSmallSquare(multiplier))) {
    constexpr double kCoefficients[] = {1.0, -0.333331435918808, 0.13325878977775574,
                                        -0.05304551497101784, 0.017241545021533966};
    const double scale = static_cast<double>(multiplier);
    double power = scale * static_cast<double>(softcap);
    for (int i = 0; i < kTerms; ++i, power *= scale * scale) {
      coefficients_[i] = hn::Set(Tag(), static_cast<float>(kCoefficients[i] * power));
    }
  }

  // Of scores below half their cap; negative if none shall be taken for small.
  [[nodiscard]] static HWY_INLINE float LargestSmallSquare(float multiplier) {
    // Beyond, the powers of a multiplier would leave f32.
    const double scale = static_cast<double>(multiplier);
    const bool usual = std::abs(scale) > 0x1p-12 && std::abs(scale) < 0x1p12;
    return usual ? static_cast<float>(0.25 / (scale * scale)) : -1.0f;
  }

  HWY_INLINE Vector Of(Vector score) const {
    const Tag d;
    const Vector square = hn::Mul(score, score);
    const auto small = hn::Le(square, largest_square_);
    Vector p = hn::MulAdd(coefficients_[4], square, coefficients_[3]);
    p = hn::MulAdd(p, square, coefficients_[2]);
    p = hn::MulAdd(p, square, coefficients_[1]);
    p = hn::MulAdd(p, square, coefficients_[0]);
    const Vector near_zero = hn::Mul(score, p);
    if (HWY_LIKELY(hn::AllTrue(d, small))) return near_zero;
    const Vector any = hn::Mul(Tanh(d, hn::Mul(score, multiplier_)), softcap_);
    return hn::IfThenElse(small, near_zero, any);
  }

 private:
  static constexpr int kTerms = 5;

  Vector multiplier_;
  Vector softcap_;
  Vector largest_square_;
  Vector coefficients_[kTerms];
};

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
