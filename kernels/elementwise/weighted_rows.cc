#include "kernels/elementwise/weighted_rows.h"

#include <algorithm>

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/weighted_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using DoubleTag = hn::CappedTag<double, 8>;
using DoubleVector = hn::Vec<DoubleTag>;
using SingleTag = hn::Rebind<float, DoubleTag>;

// Of each number, the bits that f32 has no room for.
constexpr int kBitsBeyondF32 = 52 - 23;

HWY_INLINE DoubleVector Load(const double* source, size_t count) {
  return hn::LoadN(DoubleTag(), source, count);
}
HWY_INLINE DoubleVector Load(const float* source, size_t count) {
  return hn::PromoteTo(DoubleTag(), hn::LoadN(SingleTag(), source, count));
}
template <class T>
HWY_INLINE DoubleVector Load(const T* source, size_t count) {
  const hn::Rebind<T, DoubleTag> narrow;
  return hn::PromoteTo(DoubleTag(), hn::PromoteTo(SingleTag(), hn::LoadN(narrow, source, count)));
}

HWY_INLINE void Store(DoubleVector values, double* destination, size_t count) {
  hn::StoreN(values, DoubleTag(), destination, count);
}
HWY_INLINE void Store(DoubleVector values, float* destination, size_t count) {
  hn::StoreN(hn::DemoteTo(SingleTag(), values), SingleTag(), destination, count);
}
// f32 rounded to odd: whatever is cut off leaves the last bit set, so that a second rounding goes
// where a single one would have gone.
HWY_INLINE hn::Vec<SingleTag> RoundToOdd(DoubleVector values) {
  const hn::RebindToUnsigned<DoubleTag> words;
  const auto bits = hn::BitCast(words, values);
  const auto beyond = hn::Set(words, (uint64_t{1} << kBitsBeyondF32) - 1);
  const auto cut_off = hn::VecFromMask(words, hn::Ne(hn::And(bits, beyond), hn::Zero(words)));
  const auto odd = hn::And(cut_off, hn::Set(words, uint64_t{1} << kBitsBeyondF32));
  return hn::DemoteTo(SingleTag(), hn::BitCast(DoubleTag(), hn::Or(hn::AndNot(beyond, bits), odd)));
}

HWY_INLINE void Store(DoubleVector values, hwy::float16_t* destination, size_t count) {
  const hn::Rebind<hwy::float16_t, DoubleTag> narrow;
  hn::StoreN(hn::DemoteTo(narrow, RoundToOdd(values)), narrow, destination, count);
}
// Not by DemoteTo, which makes denormal numbers 0 where the processor has an instruction for it.
HWY_INLINE void Store(DoubleVector values, hwy::bfloat16_t* destination, size_t count) {
  const hn::RebindToUnsigned<SingleTag> words;
  const hn::Rebind<uint16_t, DoubleTag> narrow;
  const auto single = RoundToOdd(values);
  const auto bits = hn::BitCast(words, single);
  const auto is_odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(words, 1));
  const auto rounded = hn::Add(hn::Add(bits, hn::Set(words, 0x7FFF)), is_odd);
  const auto quiet_nan = hn::Or(bits, hn::Set(words, 0x400000));
  const auto is_nan = hn::RebindMask(words, hn::IsNaN(single));
  const auto upper_halves = hn::ShiftRight<16>(hn::IfThenElse(is_nan, quiet_nan, rounded));
  hn::StoreN(hn::TruncateTo(narrow, upper_halves), narrow, reinterpret_cast<uint16_t*>(destination),
             count);
}

// The columns [column, column + lanes), as far as there are `count` of them.
template <class T>
HWY_INLINE void SumColumns(std::span<const WeightedRow> rows, int64_t column, size_t count,
                           T* output) {
  const DoubleTag d;
  const auto numbers = [column](const WeightedRow& row) {
    return static_cast<const T*>(row.numbers) + column;
  };
  // Not added to a zero: -0.0 stays what it is.
  auto sum = hn::Mul(hn::Set(d, rows[0].weight), Load(numbers(rows[0]), count));
  for (size_t i = 1; i < rows.size(); ++i) {
    sum = hn::MulAdd(hn::Set(d, rows[i].weight), Load(numbers(rows[i]), count), sum);
  }
  Store(sum, output + column, count);
}

template <class T>
HWY_INLINE void SumRows(std::span<const WeightedRow> rows, int64_t width, T* output) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(DoubleTag()));
  for (int64_t column = 0; column < width; column += lanes) {
    SumColumns(rows, column, static_cast<size_t>(std::min(lanes, width - column)), output);
  }
}

void SumWeightedRowsHere(std::span<const WeightedRow> rows, DataType type, int64_t width,
                         void* output) {
  switch (type) {
    case DataType::kF32:
      return SumRows(rows, width, static_cast<float*>(output));
    case DataType::kF16:
      return SumRows(rows, width, static_cast<hwy::float16_t*>(output));
    case DataType::kBF16:
      return SumRows(rows, width, static_cast<hwy::bfloat16_t*>(output));
    case DataType::kF64:
      return SumRows(rows, width, static_cast<double*>(output));
    case DataType::kBool:
      return;
  }
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(SumWeightedRowsHere);

void SumWeightedRows(std::span<const WeightedRow> rows, DataType type, int64_t width,
                     void* output) {
  HWY_DYNAMIC_DISPATCH(SumWeightedRowsHere)(rows, type, width, output);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
