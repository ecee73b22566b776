#include "kernels/elementwise/pack_rows.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/pack_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using WordTag = hn::CappedTag<uint32_t, 16>;
using WordVector = hn::Vec<WordTag>;
using FloatVector = hn::Vec<FloatTag>;
constexpr int64_t kBlockWords = 4;  // of a 128-bit block

// Stores block kBlock, kBlock + 1, ... of `column` to destination rows 0, 4, 8, ...
template <int kBlock>
HWY_INLINE void StoreBlocks(WordVector column, int64_t row_count, uint32_t* destination,
                            int64_t stride) {
  if constexpr (kBlock * kBlockWords < hn::MaxLanes(WordTag())) {
    if (kBlock * kBlockWords < row_count) {
      hn::StoreU(hn::ExtractBlock<kBlock>(column), hn::Full128<uint32_t>(),
                 destination + kBlock * kBlockWords * stride);
      StoreBlocks<kBlock + 1>(column, row_count, destination, stride);
    }
  }
}

// Within each 128-bit block this is a 4 x 4 transposition: block b of columns[i] holds word
// 4 * b + i of the four rows.
HWY_INLINE void TransposeInBlocks(WordVector a, WordVector b, WordVector c, WordVector e,
                                  WordVector* columns) {
  const WordTag d;
  const hn::Repartition<uint64_t, WordTag> pairs;
  const auto ab_low = hn::BitCast(pairs, hn::InterleaveLower(d, a, b));
  const auto ab_high = hn::BitCast(pairs, hn::InterleaveUpper(d, a, b));
  const auto ce_low = hn::BitCast(pairs, hn::InterleaveLower(d, c, e));
  const auto ce_high = hn::BitCast(pairs, hn::InterleaveUpper(d, c, e));
  columns[0] = hn::BitCast(d, hn::InterleaveLower(pairs, ab_low, ce_low));
  columns[1] = hn::BitCast(d, hn::InterleaveUpper(pairs, ab_low, ce_low));
  columns[2] = hn::BitCast(d, hn::InterleaveLower(pairs, ab_high, ce_high));
  columns[3] = hn::BitCast(d, hn::InterleaveUpper(pairs, ab_high, ce_high));
}

#if HWY_TARGET <= HWY_AVX3
// 16 whole rows of 16 words, in registers: a column is stored at once.
HWY_INLINE void TransposeSquare(const WordRows& source, int64_t word, uint32_t* destination,
                                int64_t stride) {
  const WordTag d;
  const auto load = [&](int row) {
    return hn::LoadU(
        d, reinterpret_cast<const uint32_t*>(source.data + row * source.stride_bytes) + word);
  };
  WordVector columns[kBlockWords][kBlockWords];  // [four rows][word in each block]
  for (int i = 0; i < kBlockWords; ++i) {
    TransposeInBlocks(load(4 * i), load(4 * i + 1), load(4 * i + 2), load(4 * i + 3), columns[i]);
  }
  constexpr int kEvenBlocks = 0x88;
  constexpr int kOddBlocks = 0xDD;
  for (int i = 0; i < kBlockWords; ++i) {
    const __m512i even01 = _mm512_shuffle_i32x4(columns[0][i].raw, columns[1][i].raw, kEvenBlocks);
    const __m512i odd01 = _mm512_shuffle_i32x4(columns[0][i].raw, columns[1][i].raw, kOddBlocks);
    const __m512i even23 = _mm512_shuffle_i32x4(columns[2][i].raw, columns[3][i].raw, kEvenBlocks);
    const __m512i odd23 = _mm512_shuffle_i32x4(columns[2][i].raw, columns[3][i].raw, kOddBlocks);
    uint32_t* target = destination + (word + i) * stride;
    const auto store = [&](int block, __m512i column) {
      hn::StoreU(WordVector{column}, d, target + block * kBlockWords * stride);
    };
    store(0, _mm512_shuffle_i32x4(even01, even23, kEvenBlocks));
    store(1, _mm512_shuffle_i32x4(odd01, odd23, kEvenBlocks));
    store(2, _mm512_shuffle_i32x4(even01, even23, kOddBlocks));
    store(3, _mm512_shuffle_i32x4(odd01, odd23, kOddBlocks));
  }
}
#endif

// Four source rows become four columns.
HWY_INLINE void TransposeFourRows(const WordRows& source, int64_t first_row, int64_t word,
                                  int64_t word_count, uint32_t* destination, int64_t stride) {
  const WordTag d;
  const int64_t count = std::min<int64_t>(static_cast<int64_t>(hn::Lanes(d)), word_count - word);
  const auto load = [&](int64_t row) {
    if (row >= source.row_count) return hn::Zero(d);
    const auto* words =
        reinterpret_cast<const uint32_t*>(source.data + row * source.stride_bytes) + word;
    return hn::LoadN(d, words, static_cast<size_t>(count));
  };
  WordVector columns[kBlockWords];
  TransposeInBlocks(load(first_row), load(first_row + 1), load(first_row + 2), load(first_row + 3),
                    columns);
  for (int64_t i = 0; i < std::min(kBlockWords, count); ++i) {
    StoreBlocks<0>(columns[i], count - i, destination + (word + i) * stride + first_row, stride);
  }
}

void TransposeWordsHere(const WordRows& source, int64_t word_count, uint32_t* destination,
                        int64_t destination_stride) {
  constexpr int64_t kRows = 16;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(WordTag()));
  for (int64_t word = 0; word < word_count; word += lanes) {
#if HWY_TARGET <= HWY_AVX3
    if (source.row_count == kRows && word + lanes <= word_count) {
      TransposeSquare(source, word, destination, destination_stride);
      continue;
    }
#endif
    for (int64_t row = 0; row < kRows; row += kBlockWords) {
      TransposeFourRows(source, row, word, word_count, destination, destination_stride);
    }
  }
}

// x - x is NaN exactly where x is not finite.
HWY_INLINE FloatVector StoreFinite(FloatVector numbers, float* destination, size_t rest) {
  const FloatTag d;
  const auto difference = hn::Sub(numbers, numbers);
  const auto finite = hn::IfThenElseZero(hn::Eq(difference, hn::Zero(d)), numbers);
  if (rest == hn::Lanes(d)) {
    hn::StoreU(finite, d, destination);
  } else {
    hn::StoreN(finite, d, destination, rest);
  }
  return difference;
}

// The sum is 0 if all are finite, or NaN.
HWY_INLINE FloatVector CopyFiniteRow(const float* source, int64_t count, float* destination) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    sum = hn::Add(sum, StoreFinite(hn::LoadU(d, source + i), destination + i, hn::Lanes(d)));
  }
  if (i == count) return sum;
  const auto rest = static_cast<size_t>(count - i);
  return hn::Add(sum, StoreFinite(hn::LoadN(d, source + i, rest), destination + i, rest));
}

bool CopyFiniteToF32Here(const NumberRows& source, float* destination, int64_t destination_stride) {
  const FloatTag d;
  auto sum = hn::Zero(d);
  for (int64_t row = 0; row < source.row_count; ++row) {
    const std::byte* numbers = source.data + row * source.stride_bytes;
    float* target = destination + row * destination_stride;
    if (source.type == DataType::kF32) {
      sum = hn::Add(sum,
                    CopyFiniteRow(reinterpret_cast<const float*>(numbers), source.width, target));
    } else {
      ConvertToF32(source.type, numbers, source.width, target);
      sum = hn::Add(sum, CopyFiniteRow(target, source.width, target));
    }
  }
  return hn::AllTrue(d, hn::Eq(sum, hn::Zero(d)));
}

// What reads a vector of halves, whole or the rest of a row, into the lower halves of words.
struct HalfLoader {
  size_t rest;

  HWY_INLINE WordVector operator()(const uint16_t* row, int64_t i) const {
    const WordTag d;
    const hn::Rebind<uint16_t, WordTag> halves;
    if (row == nullptr) return hn::Zero(d);
    return hn::PromoteTo(
        d, rest == hn::Lanes(d) ? hn::LoadU(halves, row + i) : hn::LoadN(halves, row + i, rest));
  }
};

// Calls pair(i, rest) for the vectors of a row.
template <class Pair>
HWY_INLINE void ForVectors(int64_t count, const Pair& pair) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(WordTag()));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) pair(i, static_cast<size_t>(lanes));
  if (i < count) pair(i, static_cast<size_t>(count - i));
}

HWY_INLINE void StorePairs(WordVector low, WordVector high, uint16_t* destination, int64_t i,
                           size_t rest) {
  const WordTag d;
  const auto pairs = hn::Or(low, hn::ShiftLeft<16>(high));
  auto* target = reinterpret_cast<uint32_t*>(destination) + i;
  if (rest == hn::Lanes(d)) {
    hn::StoreU(pairs, d, target);
  } else {
    hn::StoreN(pairs, d, target, rest);
  }
}

bool InterleaveFiniteBF16Here(const NumberRows& source, uint16_t* destination,
                              int64_t destination_stride) {
  const WordTag d;
  const auto exponent = hn::Set(d, 0x7F80);
  auto all_finite = hn::FirstN(d, hn::Lanes(d));
  const auto row_at = [&](int64_t row) {
    return row < source.row_count
               ? reinterpret_cast<const uint16_t*>(source.data + row * source.stride_bytes)
               : nullptr;
  };
  const auto finite_of = [&](WordVector words) {
    const auto finite = hn::Ne(hn::And(words, exponent), exponent);
    all_finite = hn::And(all_finite, finite);
    return hn::IfThenElseZero(finite, words);
  };
  uint16_t* target = destination;
  for (int64_t group = 0; group < source.row_count; group += kPairedColumns) {
    for (int64_t row = group; row < group + kPairDistance;
         ++row, target += 2 * destination_stride) {
      const uint16_t* even = row_at(row);
      const uint16_t* odd = row_at(row + kPairDistance);
      ForVectors(source.width, [&](int64_t i, size_t rest) {
        const HalfLoader load = {rest};
        StorePairs(finite_of(load(even, i)), finite_of(load(odd, i)), target, i, rest);
      });
    }
  }
  return hn::AllTrue(d, all_finite);
}

void InterleaveBF16Here(const uint16_t* even, const uint16_t* odd, int64_t count,
                        uint16_t* destination) {
  ForVectors(count, [&](int64_t i, size_t rest) {
    const HalfLoader load = {rest};
    StorePairs(load(even, i), load(odd, i), destination, i, rest);
  });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(TransposeWordsHere);
HWY_EXPORT(CopyFiniteToF32Here);
HWY_EXPORT(InterleaveFiniteBF16Here);
HWY_EXPORT(InterleaveBF16Here);

void TransposeWords(const WordRows& source, int64_t word_count, uint32_t* destination,
                    int64_t destination_stride) {
  HWY_DYNAMIC_DISPATCH(TransposeWordsHere)(source, word_count, destination, destination_stride);
}

bool CopyFiniteToF32(const NumberRows& source, float* destination, int64_t destination_stride) {
  return HWY_DYNAMIC_DISPATCH(CopyFiniteToF32Here)(source, destination, destination_stride);
}

bool InterleaveFiniteBF16(const NumberRows& source, uint16_t* destination,
                          int64_t destination_stride) {
  return HWY_DYNAMIC_DISPATCH(InterleaveFiniteBF16Here)(source, destination, destination_stride);
}

void InterleaveBF16(const uint16_t* even, const uint16_t* odd, int64_t count,
                    uint16_t* destination) {
  HWY_DYNAMIC_DISPATCH(InterleaveBF16Here)(even, odd, count, destination);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
