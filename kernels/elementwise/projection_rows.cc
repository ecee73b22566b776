#include "kernels/elementwise/projection_rows.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "kernels/elementwise/elementwise.h"

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/projection_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/highway.h"
#include "kernels/elementwise/bf16_parts-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using RowTag = hn::CappedTag<float, 16>;
using WordTag = hn::RebindToUnsigned<RowTag>;
using BF16Tag = hn::Rebind<hwy::bfloat16_t, RowTag>;

// Numbers that start at `source` as f32, exactly: a vector of them, or `rest` and then 0.
template <DataType kType, bool kWhole>
HWY_INLINE auto LoadNumbers(const std::byte* source, size_t rest) {
  const RowTag d;
  if constexpr (kType == DataType::kBF16) {
    const auto* numbers = reinterpret_cast<const hwy::bfloat16_t*>(source);
    if constexpr (kWhole) return hn::PromoteTo(d, hn::LoadU(BF16Tag(), numbers));
    return hn::PromoteTo(d, hn::LoadN(BF16Tag(), numbers, rest));
  } else {
    const auto* numbers = reinterpret_cast<const float*>(source);
    if constexpr (kWhole) return hn::LoadU(d, numbers);
    return hn::LoadN(d, numbers, rest);
  }
}

// Where the words of a pair of rows go: parts `part_stride` words apart.
struct PairTarget {
  uint32_t* words;
  int64_t part_stride;
};

// One vector of columns of a pair of rows; `odd` may be null for a row of 0.
template <int kPartCount, DataType kType, bool kWhole>
HWY_INLINE void PackPairColumns(const std::byte* even, const std::byte* odd, size_t rest,
                                const PairTarget& target) {
  auto even_rest = LoadNumbers<kType, kWhole>(even, rest);
  auto odd_rest = hn::Zero(RowTag());
  if (odd != nullptr) odd_rest = LoadNumbers<kType, kWhole>(odd, rest);
  for (int part = 0; part < kPartCount; ++part) {
    const bool exact = kType == DataType::kBF16;
    const auto even_part = exact ? even_rest : RoundedToBF16(RowTag(), even_rest);
    const auto odd_part = exact ? odd_rest : RoundedToBF16(RowTag(), odd_rest);
    const WordTag words;
    const auto pair =
        UpperHalves(words, hn::BitCast(words, even_part), hn::BitCast(words, odd_part));
    hn::StoreU(pair, words, target.words + part * target.part_stride);
    if (part + 1 < kPartCount) {
      even_rest = hn::Sub(even_rest, even_part);
      odd_rest = hn::Sub(odd_rest, odd_part);
    }
  }
}

template <int kPartCount, DataType kType>
HWY_INLINE void PackRowPair(const std::byte* even, const std::byte* odd, int64_t column_count,
                            int64_t panel_columns, PairTarget target) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(RowTag()));
  const int64_t vector_bytes = lanes * (kType == DataType::kBF16 ? 2 : 4);
  for (int64_t column = 0; column < panel_columns; column += lanes) {
    if (column + lanes <= column_count) {
      PackPairColumns<kPartCount, kType, true>(even, odd, 0, target);
    } else {
      const auto rest = static_cast<size_t>(std::max<int64_t>(column_count - column, 0));
      PackPairColumns<kPartCount, kType, false>(even, odd, rest, target);
    }
    even += vector_bytes;
    if (odd != nullptr) odd += vector_bytes;
    target.words += lanes;
  }
}

bool BlockSplittableHere(const NumberRows& weight) {
  const RowTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto all = hn::Eq(hn::Zero(d), hn::Zero(d));
  for (int64_t row = 0; row < weight.row_count; ++row) {
    const std::byte* numbers = weight.data + row * weight.stride_bytes;
    for (int64_t column = 0; column < weight.width; column += lanes) {
      const auto* source = numbers + column * static_cast<int64_t>(sizeof(float));
      const auto rest = static_cast<size_t>(weight.width - column);
      all = hn::And(all, Splittable(d, column + lanes <= weight.width
                                           ? LoadNumbers<DataType::kF32, true>(source, 0)
                                           : LoadNumbers<DataType::kF32, false>(source, rest)));
    }
  }
  return hn::AllTrue(d, all);
}

// Returns early, and false, at a pair of rows that cannot be split.
template <int kPartCount, DataType kType>
HWY_INLINE bool PackPanel(const NumberRows& weight, int64_t panel_columns, uint32_t* panel) {
  constexpr int64_t kPairs = kBlockRows / 2;
  const int64_t part_stride = kPairs * panel_columns;
  for (int64_t row0 = 0; row0 < weight.row_count; row0 += kBlockRows) {
    for (int64_t pair = 0; pair < kPairs; ++pair) {
      const int64_t row = row0 + 2 * pair;
      uint32_t* parts = panel + row0 / 2 * kPartCount * panel_columns + pair * panel_columns;
      if (row >= weight.row_count) {
        for (int part = 0; part < kPartCount; ++part) {
          std::fill_n(parts + part * part_stride, panel_columns, 0u);
        }
        continue;
      }
      if constexpr (kPartCount > 1) {
        NumberRows rows = weight;
        rows.data += row * weight.stride_bytes;
        rows.row_count = std::min<int64_t>(2, weight.row_count - row);
        if (!BlockSplittableHere(rows)) return false;
      }
      const std::byte* even = weight.data + row * weight.stride_bytes;
      const std::byte* odd = row + 1 < weight.row_count ? even + weight.stride_bytes : nullptr;
      PackRowPair<kPartCount, kType>(even, odd, weight.width, panel_columns, {parts, part_stride});
    }
  }
  return true;
}

void PackPanelToF32Here(const NumberRows& weight, int64_t panel_columns, float* panel) {
  for (int64_t row = 0; row < weight.row_count; ++row) {
    float* target = panel + row * panel_columns;
    const std::byte* source = weight.data + row * weight.stride_bytes;
    if (weight.type == DataType::kF32) {
      std::memcpy(target, source, static_cast<size_t>(weight.width) * sizeof(float));
    } else {
      ConvertToF32(weight.type, source, weight.width, target);
    }
    std::fill(target + weight.width, target + panel_columns, 0.0f);
  }
}

bool PackPanelToBF16Here(const NumberRows& weight, int64_t panel_columns, int64_t part_count,
                         uint16_t* panel) {
  auto* words = reinterpret_cast<uint32_t*>(panel);
  if (weight.type == DataType::kBF16) {
    return PackPanel<1, DataType::kBF16>(weight, panel_columns, words);
  }
  if (part_count == 1) return PackPanel<1, DataType::kF32>(weight, panel_columns, words);
  return PackPanel<3, DataType::kF32>(weight, panel_columns, words);
}

void JoinPanelPartsHere(const uint16_t* panel, int64_t row_count, int64_t panel_columns,
                        float* joined) {
  const RowTag d;
  const WordTag words;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  const int64_t part_stride = kBlockRows / 2 * panel_columns;
  const auto upper = hn::Set(words, 0xFFFF0000u);
  for (int64_t row = 0; row < row_count; row += 2) {
    const int64_t block = row / kBlockRows;
    const uint32_t* parts = reinterpret_cast<const uint32_t*>(panel) + block * 3 * part_stride +
                            row % kBlockRows / 2 * panel_columns;
    for (int64_t column = 0; column < panel_columns; column += lanes) {
      auto even = hn::Zero(d);
      auto odd = hn::Zero(d);
      for (int part = 2; part >= 0; --part) {  // the smallest first: every sum is exact
        const auto pair = hn::LoadU(words, parts + part * part_stride + column);
        even = hn::Add(even, hn::BitCast(d, hn::ShiftLeft<16>(pair)));
        odd = hn::Add(odd, hn::BitCast(d, hn::And(pair, upper)));
      }
      hn::StoreU(even, d, joined + row * panel_columns + column);
      if (row + 1 < row_count) hn::StoreU(odd, d, joined + (row + 1) * panel_columns + column);
    }
  }
}

// One vector of numbers of a row.
template <int kPartCount, DataType kType, bool kWhole>
HWY_INLINE void PackNumbers(const std::byte* source, size_t rest, uint16_t* target,
                            int64_t part_stride) {
  const RowTag d;
  const auto store = [](auto narrow, uint16_t* words) {
    hn::StoreU(narrow, BF16Tag(), reinterpret_cast<hwy::bfloat16_t*>(words));
  };
  if constexpr (kType == DataType::kBF16) {
    const auto* numbers = reinterpret_cast<const hwy::bfloat16_t*>(source);
    if constexpr (kWhole) {
      store(hn::LoadU(BF16Tag(), numbers), target);
    } else {
      store(hn::LoadN(BF16Tag(), numbers, rest), target);
    }
  } else {
    auto numbers = LoadNumbers<kType, kWhole>(source, rest);
    for (int part = 0; part < kPartCount; ++part) {
      const auto narrow = hn::DemoteTo(BF16Tag(), numbers);
      store(narrow, target + part * part_stride);
      if (part + 1 < kPartCount) numbers = hn::Sub(numbers, hn::PromoteTo(d, narrow));
    }
  }
}

template <int kPartCount, DataType kType>
HWY_INLINE void PackRow(const std::byte* row, int64_t width, const RowBlocks& blocks) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(RowTag()));
  constexpr int64_t kElementBytes = kType == DataType::kBF16 ? 2 : 4;
  const int64_t padded_width = RoundUp(width, kBlockRows);
  for (int64_t column = 0; column < padded_width; column += lanes) {
    uint16_t* target =
        blocks.data + column / kBlockRows * blocks.block_stride + column % kBlockRows;
    const std::byte* source = row + column * kElementBytes;
    if (column + lanes <= width) {
      PackNumbers<kPartCount, kType, true>(source, 0, target, blocks.part_stride);
    } else {
      const auto rest = static_cast<size_t>(std::max<int64_t>(width - column, 0));
      PackNumbers<kPartCount, kType, false>(source, rest, target, blocks.part_stride);
    }
  }
}

void PackRowToBF16Here(DataType type, const void* row, int64_t width, const RowBlocks& blocks) {
  const auto* bytes = static_cast<const std::byte*>(row);
  if (type == DataType::kBF16) {
    PackRow<1, DataType::kBF16>(bytes, width, blocks);
  } else if (blocks.part_count == 1) {
    PackRow<1, DataType::kF32>(bytes, width, blocks);
  } else {
    PackRow<3, DataType::kF32>(bytes, width, blocks);
  }
}

// One vector of results of a row.
template <class T, bool kWhole>
HWY_INLINE void StoreBiased(const float* sums, const float* bias, size_t rest, T* target) {
  const RowTag d;
  const hn::Rebind<T, RowTag> narrow;
  auto results = hn::Zero(d);
  if constexpr (kWhole) {
    results = hn::Add(hn::LoadU(d, sums), hn::LoadU(d, bias));
  } else {
    results = hn::Add(hn::LoadN(d, sums, rest), hn::LoadN(d, bias, rest));
  }
  const auto store = [&](auto values) {
    if constexpr (kWhole) {
      hn::StoreU(values, narrow, target);
    } else {
      hn::StoreN(values, narrow, target, rest);
    }
  };
  if constexpr (std::is_same_v<T, float>) {
    store(results);
  } else {
    store(hn::DemoteTo(narrow, results));
  }
}

template <class T>
HWY_INLINE void StoreBiasedRowsAs(const BiasedRows& rows) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(RowTag()));
  for (int64_t row = 0; row < rows.row_count; ++row) {
    const float* sums = rows.sums + row * rows.sum_stride;
    T* target = reinterpret_cast<T*>(rows.destination + row * rows.destination_stride_bytes);
    int64_t column = 0;
    for (; column + lanes <= rows.column_count; column += lanes) {
      StoreBiased<T, true>(sums + column, rows.bias + column, 0, target + column);
    }
    if (column == rows.column_count) continue;
    const auto rest = static_cast<size_t>(rows.column_count - column);
    StoreBiased<T, false>(sums + column, rows.bias + column, rest, target + column);
  }
}

void StoreBiasedRowsHere(const BiasedRows& rows) {
  if (rows.type == DataType::kF32) return StoreBiasedRowsAs<float>(rows);
  if (rows.type == DataType::kBF16) return StoreBiasedRowsAs<hwy::bfloat16_t>(rows);
  StoreBiasedRowsAs<hwy::float16_t>(rows);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(BlockSplittableHere);
HWY_EXPORT(PackPanelToF32Here);
HWY_EXPORT(PackPanelToBF16Here);
HWY_EXPORT(JoinPanelPartsHere);
HWY_EXPORT(PackRowToBF16Here);
HWY_EXPORT(StoreBiasedRowsHere);

bool BlockSplittable(const NumberRows& weight) {
  return HWY_DYNAMIC_DISPATCH(BlockSplittableHere)(weight);
}

void PackPanelToF32(const NumberRows& weight, int64_t panel_columns, float* panel) {
  HWY_DYNAMIC_DISPATCH(PackPanelToF32Here)(weight, panel_columns, panel);
}

bool PackPanelToBF16(const NumberRows& weight, int64_t panel_columns, int64_t part_count,
                     uint16_t* panel) {
  return HWY_DYNAMIC_DISPATCH(PackPanelToBF16Here)(weight, panel_columns, part_count, panel);
}

void JoinPanelParts(const uint16_t* panel, int64_t row_count, int64_t panel_columns,
                    float* joined) {
  HWY_DYNAMIC_DISPATCH(JoinPanelPartsHere)(panel, row_count, panel_columns, joined);
}

void PackRowToBF16(DataType type, const void* row, int64_t width, const RowBlocks& blocks) {
  HWY_DYNAMIC_DISPATCH(PackRowToBF16Here)(type, row, width, blocks);
}

void StoreBiasedRows(const BiasedRows& rows) { HWY_DYNAMIC_DISPATCH(StoreBiasedRowsHere)(rows); }

}  // namespace attention::kernels
#endif  // HWY_ONCE
