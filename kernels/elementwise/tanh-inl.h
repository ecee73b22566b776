// tanh on vectors, for each instruction set that includes this. Per-target include guard, as
// Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_TANH_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// x times a minimax rational function of x^2, relative error at most 1.5e-8 on [-8.7, 8.7] before
// rounding; beyond, tanh is 1 - 5.6e-8.
template <class D, class V>
HWY_INLINE V TanhOfAny(D d, V x) {
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

// Relative error at most 4e-7, for any argument: a softcap multiplies what may be small by what may
// be large. Infinite arguments give 1 or -1, NaN gives NaN. Highway's own is much longer.
//
// Most scores lie far below their cap: there x times a minimax polynomial in x^2, relative error at
// most 1.5e-8 before rounding, does. What a lane gives does not depend on its neighbours.
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  const auto small = hn::Le(hn::Abs(x), hn::Set(d, 0.5f));
  const V square = hn::Mul(x, x);
  V p = hn::Set(d, 0.017241545021533966f);
  p = hn::MulAdd(p, square, hn::Set(d, -0.05304551497101784f));
  p = hn::MulAdd(p, square, hn::Set(d, 0.13325878977775574f));
  p = hn::MulAdd(p, square, hn::Set(d, -0.333331435918808f));
  p = hn::MulAdd(p, square, hn::Set(d, 1.0f));
  const V near_zero = hn::Mul(x, p);
  if (HWY_LIKELY(hn::AllTrue(d, small))) return near_zero;
  return hn::IfThenElse(small, near_zero, TanhOfAny(d, x));
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
