#include "kernels/elementwise/rotary_rows.h"

#include <algorithm>
#include <cstring>

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/rotary_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using DoubleTag = hn::CappedTag<double, 8>;

constexpr double kRadiansPerTurn = 6.283185307179586476925;

void TurnsOfHere(int64_t position, const TurnRates& rates, const PairTurns<double>& turns) {
  const DoubleTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto positions = hn::Set(d, static_cast<double>(position));
  for (int64_t k = 0; k < rates.pair_count; k += lanes) {
    const auto rest = static_cast<size_t>(std::min(lanes, rates.pair_count - k));
    const auto high = hn::Mul(positions, hn::LoadN(d, rates.high + k, rest));
    const auto low = hn::Mul(positions, hn::LoadN(d, rates.low + k, rest));
    const auto fraction = hn::Add(hn::Sub(high, hn::Round(high)), low);
    const auto angles =
        hn::Mul(hn::Sub(fraction, hn::Round(fraction)), hn::Set(d, kRadiansPerTurn));
    hn::StoreN(hn::Cos(d, angles), d, turns.cosines + k, rest);
    hn::StoreN(hn::Sin(d, angles), d, turns.sines + k, rest);
  }
}

void AddTurnsHere(const PairTurns<const double>& first, const PairTurns<const double>& second,
                  int64_t pair_count, const PairTurns<float>& sum) {
  const DoubleTag d;
  const hn::Rebind<float, DoubleTag> narrow;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t k = 0; k < pair_count; k += lanes) {
    const auto rest = static_cast<size_t>(std::min(lanes, pair_count - k));
    const auto c1 = hn::LoadN(d, first.cosines + k, rest);
    const auto s1 = hn::LoadN(d, first.sines + k, rest);
    const auto c2 = hn::LoadN(d, second.cosines + k, rest);
    const auto s2 = hn::LoadN(d, second.sines + k, rest);
    const auto cosines = hn::NegMulAdd(s1, s2, hn::Mul(c1, c2));
    const auto sines = hn::MulAdd(s1, c2, hn::Mul(c1, s2));
    hn::StoreN(hn::DemoteTo(narrow, cosines), narrow, sum.cosines + k, rest);
    hn::StoreN(hn::DemoteTo(narrow, sines), narrow, sum.sines + k, rest);
  }
}

// How vectors of numbers that are computed as `Tag` says lie in memory as T.
template <class Tag, class T>
struct Storage {
  using Vector = hn::Vec<Tag>;
  using Narrow = hn::Rebind<T, Tag>;
  using Bits = hn::Rebind<uint16_t, Tag>;  // LoadInterleaved2 knows no 16-bit floats

  static HWY_INLINE Vector Load(const T* source) {
    return hn::PromoteTo(Tag(), hn::LoadU(Narrow(), source));
  }
  static HWY_INLINE void Store(Vector values, T* destination) {
    hn::StoreU(hn::DemoteTo(Narrow(), values), Narrow(), destination);
  }
  static HWY_INLINE void LoadPairs(const T* source, Vector& x, Vector& y) {
    hn::Vec<Bits> x_bits;
    hn::Vec<Bits> y_bits;
    hn::LoadInterleaved2(Bits(), reinterpret_cast<const uint16_t*>(source), x_bits, y_bits);
    x = hn::PromoteTo(Tag(), hn::BitCast(Narrow(), x_bits));
    y = hn::PromoteTo(Tag(), hn::BitCast(Narrow(), y_bits));
  }
  static HWY_INLINE void StorePairs(Vector x, Vector y, T* destination) {
    hn::StoreInterleaved2(hn::BitCast(Bits(), hn::DemoteTo(Narrow(), x)),
                          hn::BitCast(Bits(), hn::DemoteTo(Narrow(), y)), Bits(),
                          reinterpret_cast<uint16_t*>(destination));
  }
};

template <class Tag>
struct Storage<Tag, hn::TFromD<Tag>> {
  using T = hn::TFromD<Tag>;
  using Vector = hn::Vec<Tag>;

  static HWY_INLINE Vector Load(const T* source) { return hn::LoadU(Tag(), source); }
  static HWY_INLINE void Store(Vector values, T* destination) {
    hn::StoreU(values, Tag(), destination);
  }
  static HWY_INLINE void LoadPairs(const T* source, Vector& x, Vector& y) {
    hn::LoadInterleaved2(Tag(), source, x, y);
  }
  static HWY_INLINE void StorePairs(Vector x, Vector y, T* destination) {
    hn::StoreInterleaved2(x, y, Tag(), destination);
  }
};

template <class Vector>
HWY_INLINE void Turn(Vector cosines, Vector sines, Vector& x, Vector& y) {
  const auto turned_x = hn::NegMulAdd(y, sines, hn::Mul(x, cosines));
  y = hn::MulAdd(x, sines, hn::Mul(y, cosines));
  x = turned_x;
}

// A vector's worth of the pairs of a row. The two numbers of a pair stand at `x` and `y`, or
// interleaved at `x`.
template <class Tag, class T>
HWY_INLINE void TurnPairs(const T* x_source, const T* y_source, hn::Vec<Tag> cosines,
                          hn::Vec<Tag> sines, T* x_destination, T* y_destination) {
  using InMemory = Storage<Tag, T>;
  auto x = InMemory::Load(x_source);
  auto y = InMemory::Load(y_source);
  Turn(cosines, sines, x, y);
  InMemory::Store(x, x_destination);
  InMemory::Store(y, y_destination);
}
template <class Tag, class T>
HWY_INLINE void TurnInterleavedPairs(const T* source, hn::Vec<Tag> cosines, hn::Vec<Tag> sines,
                                     T* destination) {
  using InMemory = Storage<Tag, T>;
  hn::Vec<Tag> x;
  hn::Vec<Tag> y;
  InMemory::LoadPairs(source, x, y);
  Turn(cosines, sines, x, y);
  InMemory::StorePairs(x, y, destination);
}

constexpr int64_t kMostLanes = 16;

// The pairs from `first` on, fewer than a vector of them, by way of memory that is long enough.
template <class Tag, class T>
HWY_INLINE void TurnLastPairs(const T* input, const hn::TFromD<Tag>* cosines,
                              const hn::TFromD<Tag>* sines, int64_t first, int64_t pair_count,
                              T* output) {
  const auto rest = static_cast<size_t>(pair_count - first);
  const auto c = hn::LoadN(Tag(), cosines + first, rest);
  const auto s = hn::LoadN(Tag(), sines + first, rest);
  T x[kMostLanes] = {};
  T y[kMostLanes] = {};
  hwy::CopyBytes(input + first, x, rest * sizeof(T));
  hwy::CopyBytes(input + pair_count + first, y, rest * sizeof(T));
  TurnPairs<Tag, T>(x, y, c, s, x, y);
  hwy::CopyBytes(x, output + first, rest * sizeof(T));
  hwy::CopyBytes(y, output + pair_count + first, rest * sizeof(T));
}
template <class Tag, class T>
HWY_INLINE void TurnLastInterleavedPairs(const T* input, const hn::TFromD<Tag>* cosines,
                                         const hn::TFromD<Tag>* sines, int64_t first,
                                         int64_t pair_count, T* output) {
  const auto rest = static_cast<size_t>(pair_count - first);
  const auto c = hn::LoadN(Tag(), cosines + first, rest);
  const auto s = hn::LoadN(Tag(), sines + first, rest);
  T pairs[2 * kMostLanes] = {};
  hwy::CopyBytes(input + 2 * first, pairs, 2 * rest * sizeof(T));
  TurnInterleavedPairs<Tag, T>(pairs, c, s, pairs);
  hwy::CopyBytes(pairs, output + 2 * first, 2 * rest * sizeof(T));
}

template <class Tag, class T, bool kInterleaved>
HWY_INLINE void RotateRow(const T* input, const hn::TFromD<Tag>* cosines,
                          const hn::TFromD<Tag>* sines, int64_t pair_count, T* output) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(Tag()));
  int64_t k = 0;
  for (; k + lanes <= pair_count; k += lanes) {
    const auto c = hn::LoadU(Tag(), cosines + k);
    const auto s = hn::LoadU(Tag(), sines + k);
    if constexpr (kInterleaved) {
      TurnInterleavedPairs<Tag, T>(input + 2 * k, c, s, output + 2 * k);
    } else {
      TurnPairs<Tag, T>(input + k, input + pair_count + k, c, s, output + k,
                        output + pair_count + k);
    }
  }
  if (k == pair_count) return;
  if constexpr (kInterleaved) {
    TurnLastInterleavedPairs<Tag, T>(input, cosines, sines, k, pair_count, output);
  } else {
    TurnLastPairs<Tag, T>(input, cosines, sines, k, pair_count, output);
  }
}

template <class Tag, class T, bool kInterleaved>
HWY_INLINE void RotateRowsOf(const RotatedRows& rows, const hn::TFromD<Tag>* cosines,
                             const hn::TFromD<Tag>* sines) {
  const auto rest = static_cast<size_t>(rows.width - 2 * rows.pair_count);
  for (int64_t row = 0; row < rows.row_count; ++row) {
    const T* input = reinterpret_cast<const T*>(rows.input + row * rows.input_stride_bytes);
    T* output = reinterpret_cast<T*>(rows.output + row * rows.output_stride_bytes);
    RotateRow<Tag, T, kInterleaved>(input, cosines + row * rows.pair_count,
                                    sines + row * rows.pair_count, rows.pair_count, output);
    if (rest > 0 && input != output) {
      std::memcpy(output + 2 * rows.pair_count, input + 2 * rows.pair_count, rest * sizeof(T));
    }
  }
}

template <class Tag, class T>
HWY_INLINE void RotateRowsAs(const RotatedRows& rows, const hn::TFromD<Tag>* cosines,
                             const hn::TFromD<Tag>* sines) {
  if (rows.interleaved) return RotateRowsOf<Tag, T, true>(rows, cosines, sines);
  RotateRowsOf<Tag, T, false>(rows, cosines, sines);
}

void RotateRowsHere(const RotatedRows& rows, const float* cosines, const float* sines) {
  switch (rows.type) {
    case DataType::kF32:
      return RotateRowsAs<FloatTag, float>(rows, cosines, sines);
    case DataType::kF16:
      return RotateRowsAs<FloatTag, hwy::float16_t>(rows, cosines, sines);
    case DataType::kBF16:
      return RotateRowsAs<FloatTag, hwy::bfloat16_t>(rows, cosines, sines);
    case DataType::kF64:
    case DataType::kBool:
      return;
  }
}

void RotateF64RowsHere(const RotatedRows& rows, const double* cosines, const double* sines) {
  RotateRowsAs<DoubleTag, double>(rows, cosines, sines);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(TurnsOfHere);
HWY_EXPORT(AddTurnsHere);
HWY_EXPORT(RotateRowsHere);
HWY_EXPORT(RotateF64RowsHere);

void TurnsOf(int64_t position, const TurnRates& rates, const PairTurns<double>& turns) {
  HWY_DYNAMIC_DISPATCH(TurnsOfHere)(position, rates, turns);
}

void AddTurns(const PairTurns<const double>& first, const PairTurns<const double>& second,
              int64_t pair_count, const PairTurns<float>& sum) {
  HWY_DYNAMIC_DISPATCH(AddTurnsHere)(first, second, pair_count, sum);
}

void RotateRows(const RotatedRows& rows, const float* cosines, const float* sines) {
  HWY_DYNAMIC_DISPATCH(RotateRowsHere)(rows, cosines, sines);
}

void RotateF64Rows(const RotatedRows& rows, const double* cosines, const double* sines) {
  HWY_DYNAMIC_DISPATCH(RotateF64RowsHere)(rows, cosines, sines);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
