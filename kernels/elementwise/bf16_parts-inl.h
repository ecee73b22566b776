// Vectors of f32 as parts in BF16. Per-target include guard, as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_BF16_PARTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_BF16_PARTS_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_BF16_PARTS_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_BF16_PARTS_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Rounded to BF16 and back.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V RoundedToBF16(D d, V values) {
  const hn::Rebind<hwy::bfloat16_t, D> narrow;
  return hn::PromoteTo(d, hn::DemoteTo(narrow, values));
}

// Which numbers a split holds: see AllSplittable.
template <class D, class V = hn::Vec<D>>
HWY_INLINE hn::Mask<D> Splittable(D d, V values) {
  const auto magnitude = hn::Abs(values);
  const auto held =
      hn::And(hn::Ge(magnitude, hn::Set(d, 0x1p-48f)), hn::Le(magnitude, hn::Set(d, 0x1p63f)));
  return hn::Or(held, hn::Eq(magnitude, hn::Zero(d)));
}

// The upper halves of two vectors of f32, truncated to BF16 so, as pairs (low, high).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V UpperHalves(D words, V low, V high) {
  return hn::OrAnd(hn::ShiftRight<16>(low), high, hn::Set(words, 0xFFFF0000u));
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
