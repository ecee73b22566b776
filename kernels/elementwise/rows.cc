#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>

#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/bf16_parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;

// T: hwy::float16_t or hwy::bfloat16_t, which every target can widen to f32.
template <class T>
HWY_INLINE void WidenRow(const T* source, int64_t count, float* destination) {
  const FloatTag d;
  const hn::Rebind<T, FloatTag> narrow;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < count; i += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - i));
    hn::StoreN(hn::PromoteTo(d, hn::LoadN(narrow, source + i, rest)), d, destination + i, rest);
  }
}

// Finite numbers beyond the range of f32 become its largest, so that only an infinity is infinite.
HWY_INLINE void RoundRow(const double* source, int64_t count, float* destination) {
  const hn::CappedTag<double, 8> d;
  const hn::Rebind<float, decltype(d)> narrow;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto largest = hn::Set(d, static_cast<double>(std::numeric_limits<float>::max()));
  for (int64_t i = 0; i < count; i += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - i));
    const auto number = hn::LoadN(d, source + i, rest);
    const auto within = hn::Clamp(number, hn::Neg(largest), largest);
    const auto kept = hn::IfThenElse(hn::IsFinite(number), within, number);
    hn::StoreN(hn::DemoteTo(narrow, kept), narrow, destination + i, rest);
  }
}

void ConvertToF32Here(DataType type, const void* source, int64_t count, float* destination) {
  switch (type) {
    case DataType::kF32:
      std::copy_n(static_cast<const float*>(source), count, destination);
      return;
    case DataType::kF16:
      return WidenRow(static_cast<const hwy::float16_t*>(source), count, destination);
    case DataType::kBF16:
      return WidenRow(static_cast<const hwy::bfloat16_t*>(source), count, destination);
    case DataType::kF64:
      return RoundRow(static_cast<const double*>(source), count, destination);
    case DataType::kBool:
      return;
  }
}

void SplitToBF16Here(const float* source, int64_t count, const BF16Parts& parts) {
  const FloatTag d;
  const hn::Rebind<hwy::bfloat16_t, FloatTag> narrow;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto store = [&](auto values, uint16_t* part, int64_t i, size_t rest) {
    if (part == nullptr) return;
    hn::StoreN(hn::DemoteTo(narrow, values), narrow, reinterpret_cast<hwy::bfloat16_t*>(part) + i,
               rest);
  };
  for (int64_t i = 0; i < count; i += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - i));
    const auto whole = hn::LoadN(d, source + i, rest);
    const auto below_high = hn::Sub(whole, RoundedToBF16(d, whole));
    const auto below_middle = hn::Sub(below_high, RoundedToBF16(d, below_high));
    store(whole, parts.high, i, rest);
    store(below_high, parts.middle, i, rest);
    store(below_middle, parts.low, i, rest);
  }
}

bool AllSplittableHere(const float* values, int64_t count) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto all = hn::Eq(hn::Zero(d), hn::Zero(d));
  for (int64_t i = 0; i < count; i += lanes) {
    const size_t rest = static_cast<size_t>(std::min(lanes, count - i));
    all = hn::And(all, Splittable(d, hn::LoadN(d, values + i, rest)));  // lanes beyond are 0
  }
  return hn::AllTrue(d, all);
}

template <class T>
HWY_INLINE void ScaleRow(const ScaledRow& row, int64_t count) {
  const FloatTag d;
  const hn::Rebind<T, FloatTag> target;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto factors = hn::Set(d, row.factor);
  const auto scaled = [&](auto numbers) {
    const auto product = hn::Mul(numbers, factors);
    if constexpr (std::is_same_v<T, float>) {
      return product;
    } else {
      return hn::DemoteTo(target, product);
    }
  };
  T* destination = static_cast<T*>(row.destination);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(scaled(hn::LoadU(d, row.source + i)), target, destination + i);
  }
  if (i == count) return;
  const auto rest = static_cast<size_t>(count - i);
  hn::StoreN(scaled(hn::LoadN(d, row.source + i, rest)), target, destination + i, rest);
}

void ScaleFromF32Here(std::span<const ScaledRow> rows, int64_t count, DataType type) {
  switch (type) {
    case DataType::kF32:
      for (const ScaledRow& row : rows) ScaleRow<float>(row, count);
      return;
    case DataType::kF16:
      for (const ScaledRow& row : rows) ScaleRow<hwy::float16_t>(row, count);
      return;
    case DataType::kBF16:
      for (const ScaledRow& row : rows) ScaleRow<hwy::bfloat16_t>(row, count);
      return;
    case DataType::kF64:
    case DataType::kBool:
      return;
  }
}

// A number is finite if its exponent bits are not all set.
template <class Word>
HWY_INLINE bool AllWordsFinite(const void* numbers, int64_t count, Word exponent_bits) {
  const hn::CappedTag<Word, 64 / sizeof(Word)> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const auto* words = static_cast<const Word*>(numbers);
  const auto exponent_mask = hn::Set(d, exponent_bits);
  auto largest = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    largest = hn::Max(largest, hn::And(hn::LoadU(d, words + i), exponent_mask));
  }
  const auto rest = hn::LoadN(d, words + i, static_cast<size_t>(count - i));
  largest = hn::Max(largest, hn::And(rest, exponent_mask));
  return hn::AllFalse(d, hn::Eq(largest, exponent_mask));
}

bool AllFiniteHere(DataType type, const void* values, int64_t count) {
  switch (type) {
    case DataType::kF32:
      return AllWordsFinite<uint32_t>(values, count, 0x7F800000);
    case DataType::kF16:
      return AllWordsFinite<uint16_t>(values, count, 0x7C00);
    case DataType::kBF16:
      return AllWordsFinite<uint16_t>(values, count, 0x7F80);
    case DataType::kF64:
      return AllWordsFinite<uint64_t>(values, count, 0x7FF0000000000000);
    case DataType::kBool:
      break;
  }
  return true;
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(ConvertToF32Here);
HWY_EXPORT(SplitToBF16Here);
HWY_EXPORT(AllSplittableHere);
HWY_EXPORT(ScaleFromF32Here);
HWY_EXPORT(AllFiniteHere);

void ConvertToF32(DataType type, const void* source, int64_t count, float* destination) {
  HWY_DYNAMIC_DISPATCH(ConvertToF32Here)(type, source, count, destination);
}

void SplitToBF16(const float* source, int64_t count, const BF16Parts& parts) {
  HWY_DYNAMIC_DISPATCH(SplitToBF16Here)(source, count, parts);
}

bool AllSplittable(const float* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(AllSplittableHere)(values, count);
}

void ScaleFromF32(std::span<const ScaledRow> rows, int64_t count, DataType type) {
  HWY_DYNAMIC_DISPATCH(ScaleFromF32Here)(rows, count, type);
}

bool AllFinite(DataType type, const void* values, int64_t count) {
  return HWY_DYNAMIC_DISPATCH(AllFiniteHere)(type, values, count);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
