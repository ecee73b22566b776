// 2^t on vectors, for each instruction set that includes this. Per-target include guard, as Highway
// asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_EXP2_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_EXP2_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_EXP2_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_EXP2_INL_H_
#endif

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Beside 1, powers below this are nothing, and taken as 0: sums of smaller ones would be denormal
// now and then, which takes a hundred times as long.
constexpr float kLeastExponent = -104.0f;

// Of powers that are results themselves: down to the least normal number.
constexpr float kLeastNormalExponent = -126.0f;

#if HWY_TARGET <= HWY_AVX3
// The lanes whose power is not taken as 0, NaN among them.
HWY_INLINE __mmask16 Counts(__m512 exponents, float least_exponent) {
  return _mm512_cmp_ps_mask(exponents, _mm512_set1_ps(least_exponent), _CMP_NLT_UQ);
}
#endif

// The minimax polynomial of degree 5 for 2^x on [0, 1), exact at 0; relative error at most
// 8.3e-8 before rounding, 1.5e-7 after.
template <class D, class V>
HWY_INLINE V Exp2Fraction(D d, V x) {
  V p = hn::Set(d, 0.00186713f);
  p = hn::MulAdd(p, x, hn::Set(d, 0.00901703f));
  p = hn::MulAdd(p, x, hn::Set(d, 0.05579991f));
  p = hn::MulAdd(p, x, hn::Set(d, 0.24016444f));
  p = hn::MulAdd(p, x, hn::Set(d, 0.69315130f));
  return hn::MulAdd(p, x, hn::Set(d, 1.0f));
}

// 2^t; 0 below `least_exponent`, infinity from 128 on. NaN gives NaN.
template <class D, class V>
HWY_INLINE V Exp2(D d, V t, float least_exponent = kLeastExponent) {
#if HWY_TARGET <= HWY_AVX3
  constexpr int kFractionAboveFloor = 0x09;  // keep 0 fraction bits, round down, no exceptions
  const V fraction{_mm512_reduce_ps(t.raw, kFractionAboveFloor)};
  return V{
      _mm512_maskz_scalef_ps(Counts(t.raw, least_exponent), Exp2Fraction(d, fraction).raw, t.raw)};
#else
  const auto vanishes = hn::Lt(t, hn::Set(d, least_exponent));
  t = hn::IfThenZeroElse(vanishes, t);
  const V most = hn::Set(d, 128.0f);  // whose power is built as infinity
  t = hn::IfThenElse(hn::Gt(t, most), most, t);
  const V floor = hn::Floor(t);
  const hn::RebindToSigned<D> di;
  const auto exponent = hn::Add(hn::ConvertTo(di, floor), hn::Set(di, 127));
  const V power = hn::BitCast(d, hn::ShiftLeft<23>(exponent));
  return hn::IfThenZeroElse(vanishes, hn::Mul(Exp2Fraction(d, hn::Sub(t, floor)), power));
#endif
}

// The same for results that will be truncated to BF16: of degree 3, relative error at most 7.5e-5,
// and with half a unit of BF16's last place added, so that truncation rounds.
template <class D, class V>
HWY_INLINE V Exp2RoundedToBF16(D d, V t) {
#if HWY_TARGET <= HWY_AVX3
  constexpr int kFractionAboveFloor = 0x09;
  constexpr float kHalfUnit = 0x1p-8f;
  const V fraction{_mm512_reduce_ps(t.raw, kFractionAboveFloor)};
  V p = hn::Set(d, 0.07802452f);
  p = hn::MulAdd(p, fraction, hn::Set(d, 0.22606716f));
  p = hn::MulAdd(p, fraction, hn::Set(d, 0.69583354f));
  p = hn::MulAdd(p, fraction, hn::Set(d, 0.99992522f + kHalfUnit));
  return V{_mm512_maskz_scalef_ps(Counts(t.raw, kLeastExponent), p.raw, t.raw)};
#else
  const hn::RebindToUnsigned<D> words;
  return hn::BitCast(d, hn::Add(hn::BitCast(words, Exp2(d, t)), hn::Set(words, 0x8000)));
#endif
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
