// Sums of streamed rows, weighted by a few rows of weights. Per-target include guard, as Highway
// asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_STREAM_SUMS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_STREAM_SUMS_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_STREAM_SUMS_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_STREAM_SUMS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/stream_access-inl.h"
#include "kernels/elementwise/stream_order-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

// Rows of weights whose sums are accumulated in registers at once, at most.
constexpr int64_t kMaxSumRows = 4;

// Sums of rows of weights, of columns from `first` on: kVectors vectors, of which the last ones may
// exist in part or not at all, or all are there if kWhole. Loops over totals are unrolled by order:
// GCC would keep them in memory.
template <int64_t kVectors, bool kWhole, class T>
class Columns {
 public:
  HWY_INLINE Columns(int64_t width, int64_t first) : first_(first) {
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
    for (int64_t v = 0; v < kVectors; ++v) {
      counts_[v] = static_cast<size_t>(std::clamp<int64_t>(width - first - v * lanes, 0, lanes));
    }
  }

  // A streamed row. BF16 comes as even and odd columns in turn.
  HWY_INLINE void Widen(const T* row, FloatVector (&values)[kVectors]) const {
    const FloatTag d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    row += first_;
    HWY_UNROLL(kVectors)
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (!kWhole) {
        values[v] = counts_[v] > 0 ? LoadF32Part(row + v * lanes, counts_[v]) : hn::Zero(d);
      } else if constexpr (!kPairs) {
        values[v] = LoadF32(row + v * lanes);
      } else if (v % 2 == 0) {
        const auto pairs = hn::LoadU(hn::Repartition<T, FloatTag>(), row + v * lanes);
        values[v] = hn::PromoteEvenTo(d, pairs);
        values[v + 1] = hn::PromoteOddTo(d, pairs);
      }
    }
  }

  // Sums, in the order of Widen.
  HWY_INLINE void Load(const float* sums, FloatVector (&totals)[kVectors]) const {
    const FloatTag d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    sums += first_;
    HWY_UNROLL(kVectors)
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (!kPairs) {
        totals[v] = counts_[v] > 0 ? LoadF32Part(sums + v * lanes, counts_[v]) : hn::Zero(d);
      } else if (v % 2 == 0) {
        const auto low = hn::LoadU(d, sums + v * lanes);
        const auto high = hn::LoadU(d, sums + (v + 1) * lanes);
        totals[v] = hn::ConcatEven(d, high, low);
        totals[v + 1] = hn::ConcatOdd(d, high, low);
      }
    }
  }

  HWY_INLINE void Store(const FloatVector (&totals)[kVectors], float* sums) const {
    const FloatTag d;
    const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
    sums += first_;
    HWY_UNROLL(kVectors)
    for (int64_t v = 0; v < kVectors; ++v) {
      if constexpr (!kPairs) {
        if (counts_[v] > 0) hn::StoreN(totals[v], d, sums + v * lanes, counts_[v]);
      } else if (v % 2 == 0) {
        hn::StoreU(hn::InterleaveWholeLower(d, totals[v], totals[v + 1]), d, sums + v * lanes);
        hn::StoreU(hn::InterleaveWholeUpper(d, totals[v], totals[v + 1]), d,
                   sums + (v + 1) * lanes);
      }
    }
  }

 private:
  static constexpr bool kPairs = kWhole && std::is_same_v<T, hwy::bfloat16_t>;
  static_assert(!kPairs || kVectors % 2 == 0);

  int64_t first_;
  size_t counts_[kVectors];
};

// Adds a piece to the sums of kRows rows of weights, or begins them; keys for which skips(key) is
// true are left out.
template <int64_t kRows, int64_t kVectors, bool kWhole, class T, class Skips>
HWY_INLINE void SumBlock(const StreamedRows& streamed, const Piece& piece, const FewRows weights,
                         int64_t first_column, const FewRows sums, int64_t pass,
                         Fetcher& fetcher_of_piece, const Skips& skips) {
  const FloatTag d;
  const Columns<kVectors, kWhole, T> columns(streamed.width, first_column);
  Fetcher fetcher = fetcher_of_piece;  // in registers
  FloatVector totals[kRows][kVectors];
  HWY_UNROLL(kMaxSumRows)
  for (int64_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(kVectors)
    for (auto& total : totals[r]) total = hn::Zero(d);
    if (piece.begin > 0) columns.Load(sums.data + r * sums.stride_elements, totals[r]);
  }
  ForRows(piece, [&](int64_t key) HWY_ATTR {
    fetcher.Read(pass, key);
    if (skips(key)) return;
    FloatVector values[kVectors];
    columns.Widen(Row<T>(streamed, key), values);
    HWY_UNROLL(kMaxSumRows)
    for (int64_t r = 0; r < kRows; ++r) {
      const auto weight = hn::Set(d, weights.data[r * weights.stride_elements + key]);
      HWY_UNROLL(kVectors)
      for (int64_t v = 0; v < kVectors; ++v) {
        totals[r][v] = hn::MulAdd(weight, values[v], totals[r][v]);
      }
    }
  });
  HWY_UNROLL(kMaxSumRows)
  for (int64_t r = 0; r < kRows; ++r) {
    columns.Store(totals[r], sums.data + r * sums.stride_elements);
  }
  fetcher_of_piece = fetcher;
}

// Calls take(rows, vectors, whole, first column) for blocks of columns, the first three as integral
// constants: how many rows of weights go with so many vectors into the registers.
template <class Take>
HWY_INLINE void ForColumnBlocks(int64_t width, const Take& take) {
  constexpr int64_t kVectors = 4;
  using Rows = std::integral_constant<int64_t, kMaxSumRows>;
  using Vectors = std::integral_constant<int64_t, kVectors>;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(FloatTag()));
  int64_t column = 0;
#if HWY_TARGET == HWY_AVX3_ZEN4
  // Whole rows of 128 columns, so that lines are read in order.
  using FewerRows = std::integral_constant<int64_t, kMaxSumRows / 2>;
  using MoreVectors = std::integral_constant<int64_t, 2 * kVectors>;
  for (; column + MoreVectors() * lanes <= width; column += MoreVectors() * lanes) {
    take(FewerRows(), MoreVectors(), std::true_type(), column);
  }
#endif
  for (; column + kVectors * lanes <= width; column += kVectors * lanes) {
    take(Rows(), Vectors(), std::true_type(), column);
  }
  for (; column < width; column += kVectors * lanes) {
    take(Rows(), Vectors(), std::false_type(), column);
  }
}

template <class T>
HWY_INLINE void SumRows(const StreamedRows& streamed, const FewRows& weights, const FewRows& sums) {
  int64_t pass_count = 0;
  ForColumnBlocks(streamed.width, [&](auto rows, auto, auto, int64_t) {
    pass_count += DivideUp(weights.row_count, rows());
  });
  ForPieces(streamed, [&](const Piece& piece) {
    Fetcher fetcher(streamed, piece, pass_count);
    int64_t pass = 0;
    ForColumnBlocks(streamed.width, [&](auto rows, auto vectors, auto whole, int64_t column) {
      ForRowBlocks<rows()>(weights.row_count, [&](auto size, int64_t row) {
        SumBlock<size(), vectors(), whole(), T>(streamed, piece, RowsFrom(weights, row), column,
                                                RowsFrom(sums, row), pass, fetcher,
                                                [](int64_t) { return false; });
        ++pass;
      });
    });
  });
}

template <class T>
HWY_INLINE void SumRowsExcept(const StreamedRows& streamed, const FewRows& weights, float skipped,
                              const FewRows& sums) {
  ForPieces(streamed, [&](const Piece& piece) {
    Fetcher fetcher(streamed, piece, 1);
    ForColumnBlocks(streamed.width, [&](auto, auto vectors, auto whole, int64_t column) {
      SumBlock<1, vectors(), whole(), T>(streamed, piece, weights, column, sums, 0, fetcher,
                                         [&](int64_t key) { return weights.data[key] == skipped; });
    });
  });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
