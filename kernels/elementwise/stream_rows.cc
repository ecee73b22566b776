#include "kernels/elementwise/stream_rows.h"

#include <algorithm>
#include <type_traits>

// Highway compiles the rest of this file once for each instruction set.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/elementwise/stream_rows.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
//
#include "hwy/cache_control.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
using FloatTag = hn::CappedTag<float, 16>;
using FloatVector = hn::Vec<FloatTag>;

// Rows that are streamed at once. Each is a sequence of addresses of its own for the processor's
// prefetchers.
constexpr int64_t kStreams = 4;
constexpr int64_t kCacheLineBytes = 64;

// Query rows and vectors of columns that are accumulated in registers at once.
constexpr int64_t kRowBlock = 4;
constexpr int64_t kColumnVectors = 4;

// `count` elements from `source` as f32; zeros follow if there are fewer than lanes.
HWY_INLINE FloatVector Load(const float* source) { return hn::LoadU(FloatTag(), source); }
HWY_INLINE FloatVector LoadPart(const float* source, size_t count) {
  return hn::LoadN(FloatTag(), source, count);
}
template <class T>
HWY_INLINE FloatVector Load(const T* source) {
  const hn::Rebind<T, FloatTag> narrow;
  return hn::PromoteTo(FloatTag(), hn::LoadU(narrow, source));
}
template <class T>
HWY_INLINE FloatVector LoadPart(const T* source, size_t count) {
  const hn::Rebind<T, FloatTag> narrow;
  return hn::PromoteTo(FloatTag(), hn::LoadN(narrow, source, count));
}

HWY_INLINE void FetchNext(const StreamedRows& streamed, int64_t row) {
  if (streamed.next == nullptr) return;
  const std::byte* begin = streamed.next + row * streamed.next_row_stride_bytes;
  for (int64_t offset = 0; offset < streamed.next_row_bytes; offset += kCacheLineBytes) {
    hwy::Prefetch(begin + offset);
  }
}

template <class T>
HWY_INLINE const T* Row(const StreamedRows& streamed, int64_t row) {
  return reinterpret_cast<const T*>(streamed.data + row * streamed.row_stride_bytes);
}

// Four horizontal sums at once, as the first four lanes.
HWY_INLINE hn::Vec<hn::Full128<float>> SumsOfFour(FloatVector a, FloatVector b, FloatVector c,
                                                  FloatVector d) {
  const FloatTag tag;
  const hn::Repartition<double, FloatTag> pairs;
  const auto ab = hn::Add(hn::InterleaveLower(tag, a, b), hn::InterleaveUpper(tag, a, b));
  const auto cd = hn::Add(hn::InterleaveLower(tag, c, d), hn::InterleaveUpper(tag, c, d));
  const auto low = hn::InterleaveLower(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto high = hn::InterleaveUpper(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto blocks = hn::Add(hn::BitCast(tag, low), hn::BitCast(tag, high));
  // Each block of four lanes holds partial sums of a, b, c, d.
  alignas(64) float lanes[16];
  hn::Store(blocks, tag, lanes);
  const hn::Full128<float> four;
  auto sum = hn::Load(four, lanes);
  for (size_t block = 4; block < hn::Lanes(tag); block += 4)
    sum = hn::Add(sum, hn::Load(four, lanes + block));
  return sum;
}

HWY_INLINE FewRows RowsFrom(const FewRows& rows, int64_t row) {
  return {rows.data + row * rows.stride_elements, rows.stride_elements, rows.row_count - row};
}

// Calls take(size, row) for blocks of rows, with their size as an integral constant.
template <class Take>
HWY_INLINE void ForRowBlocks(int64_t row_count, const Take& take) {
  int64_t row = 0;
  for (; row + kRowBlock <= row_count; row += kRowBlock) {
    take(std::integral_constant<int64_t, kRowBlock>(), row);
  }
  static_assert(kRowBlock == 4);
  if (row_count - row == 3) take(std::integral_constant<int64_t, 3>(), row);
  if (row_count - row == 2) take(std::integral_constant<int64_t, 2>(), row);
  if (row_count - row == 1) take(std::integral_constant<int64_t, 1>(), row);
}

// Dot products of kStreams rows with kRows query rows; products[row][stream].
template <int64_t kRows, class T>
HWY_INLINE void DotBlock(const T* const (&rows)[kStreams], int64_t width, const float* queries,
                         int64_t query_stride, float (&products)[kRowBlock][kStreams]) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  FloatVector sums[kRows][kStreams];
  for (auto& row_sums : sums) {
    for (auto& sum : row_sums) sum = hn::Zero(d);
  }
  int64_t column = 0;
  for (; column + lanes <= width; column += lanes) {
    const FloatVector streamed[kStreams] = {Load(rows[0] + column), Load(rows[1] + column),
                                            Load(rows[2] + column), Load(rows[3] + column)};
    for (int64_t row = 0; row < kRows; ++row) {
      const auto query = hn::LoadU(d, queries + row * query_stride + column);
      for (int64_t stream = 0; stream < kStreams; ++stream) {
        sums[row][stream] = hn::MulAdd(query, streamed[stream], sums[row][stream]);
      }
    }
  }
  if (column < width) {
    const size_t rest = static_cast<size_t>(width - column);
    const FloatVector streamed[kStreams] = {
        LoadPart(rows[0] + column, rest), LoadPart(rows[1] + column, rest),
        LoadPart(rows[2] + column, rest), LoadPart(rows[3] + column, rest)};
    for (int64_t row = 0; row < kRows; ++row) {
      const auto query = hn::LoadN(d, queries + row * query_stride + column, rest);
      for (int64_t stream = 0; stream < kStreams; ++stream) {
        sums[row][stream] = hn::MulAdd(query, streamed[stream], sums[row][stream]);
      }
    }
  }
  for (int64_t row = 0; row < kRows; ++row) {
    hn::StoreU(SumsOfFour(sums[row][0], sums[row][1], sums[row][2], sums[row][3]),
               hn::Full128<float>(), products[row]);
  }
}

template <int64_t kRows, class T>
HWY_INLINE void DotRowBlock(const StreamedRows& streamed, const FewRows queries,
                            const FewRows products, bool fetch) {
  const int64_t quarter = (streamed.row_count + kStreams - 1) / kStreams;
  for (int64_t i = 0; i < quarter; ++i) {
    const T* rows[kStreams];
    for (int64_t stream = 0; stream < kStreams; ++stream) {
      // The last stream may be shorter: it then repeats the last row.
      const int64_t row = std::min(stream * quarter + i, streamed.row_count - 1);
      rows[stream] = Row<T>(streamed, row);
      if (fetch) FetchNext(streamed, row);
    }
    float block[kRowBlock][kStreams];
    DotBlock<kRows>(rows, streamed.width, queries.data, queries.stride_elements, block);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t stream = 0; stream < kStreams; ++stream) {
        const int64_t key = stream * quarter + i;
        if (key < streamed.row_count) {
          products.data[row * products.stride_elements + key] = block[row][stream];
        }
      }
    }
  }
}

template <class T>
HWY_INLINE void DotRows(const StreamedRows& streamed, const FewRows& queries,
                        const FewRows& products) {
  ForRowBlocks(queries.row_count, [&](auto size, int64_t row) {
    const bool fetch = row == 0;  // later blocks find everything in the cache
    DotRowBlock<size(), T>(streamed, RowsFrom(queries, row), RowsFrom(products, row), fetch);
  });
}

// sums for kRows rows of weights and the columns [column, column + kColumnVectors vectors), as far
// as they exist; keys for which skips(key) is true are left out. Loops over totals are unrolled by
// order: GCC would keep them in memory.
template <int64_t kRows, class T, class Skips>
HWY_INLINE void SumBlock(const StreamedRows& streamed, const FewRows weights, int64_t column,
                         const FewRows sums, bool fetch, const Skips& skips) {
  const FloatTag d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  FloatVector totals[kRows][kColumnVectors];
  HWY_UNROLL(kRowBlock)
  for (auto& row_totals : totals) {
    HWY_UNROLL(kColumnVectors)
    for (auto& total : row_totals) total = hn::Zero(d);
  }
  size_t counts[kColumnVectors];
  for (int64_t v = 0; v < kColumnVectors; ++v) {
    counts[v] =
        static_cast<size_t>(std::clamp<int64_t>(streamed.width - column - v * lanes, 0, lanes));
  }
  const bool whole = counts[kColumnVectors - 1] == static_cast<size_t>(lanes);
  const int64_t quarter = (streamed.row_count + kStreams - 1) / kStreams;
  for (int64_t i = 0; i < quarter; ++i) {
    for (int64_t stream = 0; stream < kStreams; ++stream) {
      const int64_t key = stream * quarter + i;
      if (key >= streamed.row_count) break;
      if (fetch) FetchNext(streamed, key);
      if (skips(key)) continue;
      const T* row = Row<T>(streamed, key) + column;
      FloatVector values[kColumnVectors];
      for (int64_t v = 0; v < kColumnVectors; ++v) {
        values[v] = HWY_LIKELY(whole) ? Load(row + v * lanes)
                    : counts[v] > 0   ? LoadPart(row + v * lanes, counts[v])
                                      : hn::Zero(d);
      }
      HWY_UNROLL(kRowBlock)
      for (int64_t r = 0; r < kRows; ++r) {
        const auto weight = hn::Set(d, weights.data[r * weights.stride_elements + key]);
        HWY_UNROLL(kColumnVectors)
        for (int64_t v = 0; v < kColumnVectors; ++v)
          totals[r][v] = hn::MulAdd(weight, values[v], totals[r][v]);
      }
    }
  }
  HWY_UNROLL(kRowBlock)
  for (int64_t r = 0; r < kRows; ++r) {
    float* sum = sums.data + r * sums.stride_elements + column;
    HWY_UNROLL(kColumnVectors)
    for (int64_t v = 0; v < kColumnVectors; ++v) {
      if (counts[v] > 0) hn::StoreN(totals[r][v], d, sum + v * lanes, counts[v]);
    }
  }
}

HWY_INLINE int64_t BlockColumns() {
  return kColumnVectors * static_cast<int64_t>(hn::Lanes(FloatTag()));
}

template <class T>
HWY_INLINE void SumRows(const StreamedRows& streamed, const FewRows& weights, const FewRows& sums) {
  for (int64_t column = 0; column < streamed.width; column += BlockColumns()) {
    ForRowBlocks(weights.row_count, [&](auto size, int64_t row) {
      SumBlock<size(), T>(streamed, RowsFrom(weights, row), column, RowsFrom(sums, row),
                          row == 0 && column == 0, [](int64_t) { return false; });
    });
  }
}

template <class T>
HWY_INLINE void SumRowsExcept(const StreamedRows& streamed, const FewRows& weights, float skipped,
                              const FewRows& sums) {
  for (int64_t column = 0; column < streamed.width; column += BlockColumns()) {
    SumBlock<1, T>(streamed, weights, column, sums, false,
                   [&](int64_t key) { return weights.data[key] == skipped; });
  }
}

void DotStreamedRowsHere(const StreamedRows& streamed, const FewRows& queries,
                         const FewRows& products) {
  if (streamed.type == DataType::kF32) return DotRows<float>(streamed, queries, products);
  if (streamed.type == DataType::kBF16)
    return DotRows<hwy::bfloat16_t>(streamed, queries, products);
  return DotRows<hwy::float16_t>(streamed, queries, products);
}

void SumStreamedRowsHere(const StreamedRows& streamed, const FewRows& weights,
                         const FewRows& sums) {
  if (streamed.type == DataType::kF32) return SumRows<float>(streamed, weights, sums);
  if (streamed.type == DataType::kBF16) return SumRows<hwy::bfloat16_t>(streamed, weights, sums);
  return SumRows<hwy::float16_t>(streamed, weights, sums);
}

void SumStreamedRowsExceptHere(const StreamedRows& streamed, const FewRows& weights, float skipped,
                               const FewRows& sums) {
  if (streamed.type == DataType::kF32)
    return SumRowsExcept<float>(streamed, weights, skipped, sums);
  if (streamed.type == DataType::kBF16)
    return SumRowsExcept<hwy::bfloat16_t>(streamed, weights, skipped, sums);
  return SumRowsExcept<hwy::float16_t>(streamed, weights, skipped, sums);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace attention::kernels {

HWY_EXPORT(DotStreamedRowsHere);
HWY_EXPORT(SumStreamedRowsHere);
HWY_EXPORT(SumStreamedRowsExceptHere);

void DotStreamedRows(const StreamedRows& streamed, const FewRows& queries,
                     const FewRows& products) {
  HWY_DYNAMIC_DISPATCH(DotStreamedRowsHere)(streamed, queries, products);
}

void SumStreamedRows(const StreamedRows& streamed, const FewRows& weights, const FewRows& sums) {
  HWY_DYNAMIC_DISPATCH(SumStreamedRowsHere)(streamed, weights, sums);
}

void SumStreamedRowsExcept(const StreamedRows& streamed, const FewRows& weights, float skipped,
                           const FewRows& sums) {
  HWY_DYNAMIC_DISPATCH(SumStreamedRowsExceptHere)(streamed, weights, skipped, sums);
}

}  // namespace attention::kernels
#endif  // HWY_ONCE
