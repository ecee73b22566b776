// Dot products of a few query rows with streamed rows. Per-target include guard, as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_STREAM_DOTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_STREAM_DOTS_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_STREAM_DOTS_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_STREAM_DOTS_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hwy/highway.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/stream_access-inl.h"
#include "kernels/elementwise/stream_order-inl.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

// Query rows whose products are accumulated in registers at once.
constexpr int64_t kDotRows = 4;

// How dot products read streamed rows of T, and queries.
template <class T>
struct DotOperands {
  using Query = float;
  static HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(FloatTag())); }
  template <class Element>
  static HWY_INLINE FloatVector LoadWhole(const Element* source) {
    return LoadF32(source);
  }
  template <class Element>
  static HWY_INLINE FloatVector LoadRest(const Element* source, size_t count) {
    return LoadF32Part(source, count);
  }
  static HWY_INLINE FloatVector Add(FloatVector query, FloatVector streamed, FloatVector sum) {
    return hn::MulAdd(query, streamed, sum);
  }
};

// In pairs of columns.
template <>
struct DotOperands<hwy::bfloat16_t> {
  using Query = hwy::bfloat16_t;
  using Tag = hn::Repartition<hwy::bfloat16_t, FloatTag>;
  using Vector = hn::Vec<Tag>;
  static HWY_INLINE int64_t Lanes() { return static_cast<int64_t>(hn::Lanes(Tag())); }
  static HWY_INLINE Vector LoadWhole(const hwy::bfloat16_t* source) {
    return hn::LoadU(Tag(), source);
  }
  static HWY_INLINE Vector LoadRest(const hwy::bfloat16_t* source, size_t count) {
    return hn::LoadN(Tag(), source, count);
  }
  static HWY_INLINE FloatVector Add(Vector query, Vector streamed, FloatVector sum) {
    const FloatTag d;
#if HWY_NATIVE_DOT_BF16
    FloatVector unused = hn::Zero(d);
    return hn::ReorderWidenMulAccumulate(d, query, streamed, sum, unused);
#else
    sum = hn::MulAdd(hn::PromoteEvenTo(d, query), hn::PromoteEvenTo(d, streamed), sum);
    return hn::MulAdd(hn::PromoteOddTo(d, query), hn::PromoteOddTo(d, streamed), sum);
#endif
  }
};

// Adds up blocks of four lanes.
template <class D, HWY_IF_V_SIZE_D(D, 16)>
HWY_INLINE StepVector SumOfBlocks(D, hn::Vec<D> v) {
  return v;
}
template <class D, HWY_IF_V_SIZE_GT_D(D, 16)>
HWY_INLINE StepVector SumOfBlocks(D d, hn::Vec<D> v) {
  const hn::Half<D> half;
  return SumOfBlocks(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
}

// Four horizontal sums at once.
HWY_INLINE StepVector SumsOfFour(FloatVector a, FloatVector b, FloatVector c, FloatVector d) {
  const FloatTag tag;
  const hn::Repartition<double, FloatTag> pairs;
  const auto ab = hn::Add(hn::InterleaveLower(tag, a, b), hn::InterleaveUpper(tag, a, b));
  const auto cd = hn::Add(hn::InterleaveLower(tag, c, d), hn::InterleaveUpper(tag, c, d));
  const auto low = hn::InterleaveLower(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  const auto high = hn::InterleaveUpper(pairs, hn::BitCast(pairs, ab), hn::BitCast(pairs, cd));
  // Each block of four lanes holds partial sums of a, b, c, d.
  return SumOfBlocks(tag, hn::Add(hn::BitCast(tag, low), hn::BitCast(tag, high)));
}

// Dot products of kStreams rows with kRows query rows. Whole vectors and the rest are written out:
// with one lambda for both, F32 decoding from memory took 12 % longer on Zen 5.
template <int64_t kRows, class T>
HWY_INLINE void DotBlock(const T* const (&rows)[kStreams], int64_t width, const QueryRows& queries,
                         StepVector (&products)[kRows]) {
  using Operands = DotOperands<T>;
  using Query = typename Operands::Query;
  const int64_t lanes = Operands::Lanes();
  const auto query_row = [&](int64_t row) {
    return reinterpret_cast<const Query*>(queries.data + row * queries.stride_bytes);
  };
  FloatVector sums[kRows][kStreams];
  for (auto& row_sums : sums) {
    for (auto& sum : row_sums) sum = hn::Zero(FloatTag());
  }
  int64_t column = 0;
  for (; column + lanes <= width; column += lanes) {
    const auto row0 = Operands::LoadWhole(rows[0] + column);
    const auto row1 = Operands::LoadWhole(rows[1] + column);
    const auto row2 = Operands::LoadWhole(rows[2] + column);
    const auto row3 = Operands::LoadWhole(rows[3] + column);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto query = Operands::LoadWhole(query_row(row) + column);
      sums[row][0] = Operands::Add(query, row0, sums[row][0]);
      sums[row][1] = Operands::Add(query, row1, sums[row][1]);
      sums[row][2] = Operands::Add(query, row2, sums[row][2]);
      sums[row][3] = Operands::Add(query, row3, sums[row][3]);
    }
  }
  if (column < width) {
    const size_t rest = static_cast<size_t>(width - column);
    const auto row0 = Operands::LoadRest(rows[0] + column, rest);
    const auto row1 = Operands::LoadRest(rows[1] + column, rest);
    const auto row2 = Operands::LoadRest(rows[2] + column, rest);
    const auto row3 = Operands::LoadRest(rows[3] + column, rest);
    for (int64_t row = 0; row < kRows; ++row) {
      const auto query = Operands::LoadRest(query_row(row) + column, rest);
      sums[row][0] = Operands::Add(query, row0, sums[row][0]);
      sums[row][1] = Operands::Add(query, row1, sums[row][1]);
      sums[row][2] = Operands::Add(query, row2, sums[row][2]);
      sums[row][3] = Operands::Add(query, row3, sums[row][3]);
    }
  }
  for (int64_t row = 0; row < kRows; ++row) {
    products[row] = SumsOfFour(sums[row][0], sums[row][1], sums[row][2], sums[row][3]);
  }
}

template <int64_t kRows, class T>
HWY_INLINE void DotRowBlock(const StreamedRows& streamed, const Piece& piece,
                            const QueryRows& queries, const FewRows products, int64_t pass,
                            Fetcher& fetcher_of_piece) {
  Fetcher fetcher = fetcher_of_piece;  // in registers
  for (int64_t step = 0; step < piece.step_count(); ++step) {
    const T* rows[kStreams];
    HWY_UNROLL(kStreams)
    for (int64_t stream = 0; stream < kStreams; ++stream) {
      // A stream without a row left repeats the last one.
      const int64_t row = std::min(RowOf(piece, step, stream), piece.end - 1);
      rows[stream] = Row<T>(streamed, row);
      fetcher.Read(pass, row);
    }
    StepVector block[kRows];
    DotBlock<kRows>(rows, streamed.width, queries, block);
    for (int64_t row = 0; row < kRows; ++row) {
      StoreStep(piece, step, block[row], products.data + row * products.stride_elements);
    }
  }
  fetcher_of_piece = fetcher;
}

template <class T>
HWY_INLINE void DotRows(const StreamedRows& streamed, const QueryRows& queries,
                        const FewRows& products) {
  const int64_t pass_count = DivideUp(queries.row_count, kDotRows);
  ForPieces(streamed, [&](const Piece& piece) {
    Fetcher fetcher(streamed, piece, pass_count);
    ForRowBlocks<kDotRows>(queries.row_count, [&](auto size, int64_t row) {
      const QueryRows rest = {queries.data + row * queries.stride_bytes, queries.stride_bytes,
                              queries.row_count - row};
      DotRowBlock<size(), T>(streamed, piece, rest, RowsFrom(products, row), row / kDotRows,
                             fetcher);
    });
  });
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
