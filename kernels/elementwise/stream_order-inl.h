// In which order streamed rows are read, and when the ones that follow are fetched into the caches.
// Per-target include guard, as Highway asks.

#if defined(ATTENTION_KERNELS_ELEMENTWISE_STREAM_ORDER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ATTENTION_KERNELS_ELEMENTWISE_STREAM_ORDER_INL_H_
#undef ATTENTION_KERNELS_ELEMENTWISE_STREAM_ORDER_INL_H_
#else
#define ATTENTION_KERNELS_ELEMENTWISE_STREAM_ORDER_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/stream_access-inl.h"
#include "kernels/elementwise/stream_rows.h"

HWY_BEFORE_NAMESPACE();
namespace attention::kernels::HWY_NAMESPACE {

// Rows that are read at once, in each step.
constexpr int64_t kStreams = 4;
using StepVector = hn::Vec<hn::Full128<float>>;  // a number for each

// Rows that every pass reads before any pass reads the ones after them.
struct Piece {
  int64_t begin;
  int64_t end;

  [[nodiscard]] HWY_INLINE int64_t row_count() const { return end - begin; }
  [[nodiscard]] HWY_INLINE int64_t step_count() const { return DivideUp(row_count(), kStreams); }
};

constexpr int64_t kCacheLineBytes = 64;

// Rows that are to be fetched, one after the other.
struct FetchedRows {
  const std::byte* row = nullptr;
  int64_t stride_bytes = 0;
  int64_t row_bytes = 0;
  int64_t row_count = 0;

  HWY_INLINE void Advance() {
    row += stride_bytes;
    --row_count;
  }
};

// The streamed rows from `row` on or, behind their end, those that will be read next.
HWY_INLINE FetchedRows RowsToFetch(const StreamedRows& streamed, int64_t row, int64_t row_count) {
  if (row < streamed.row_count) {
    return {Row<std::byte>(streamed, row), streamed.row_stride_bytes, RowBytes(streamed),
            std::min(row_count, streamed.row_count - row)};
  }
  row -= streamed.row_count;
  if (streamed.next == nullptr || row >= streamed.row_count) return {};
  return {streamed.next + row * streamed.next_row_stride_bytes, streamed.next_row_stride_bytes,
          streamed.next_row_bytes, std::min(row_count, streamed.row_count - row)};
}

HWY_INLINE void FetchRow(const FetchedRows& rows) {
  for (int64_t offset = 0; offset < rows.row_bytes; offset += kCacheLineBytes) {
    hwy::Prefetch(rows.row + offset);
  }
}

#if HWY_TARGET == HWY_AVX3_ZEN4

// AMD's prefetchers lose several streams at once, and stop at the end of a page. Rows are read one
// after the other, in pieces that stay in the first-level cache. Each row is fetched one piece
// ahead, and once more half a piece ahead, since what comes too fast is dropped; the first lines of
// each page are two pieces ahead, which brings its translation.
HWY_INLINE int64_t PieceRows(const StreamedRows& streamed) {
  constexpr int64_t kPieceBytes = int64_t{16} << 10;
  return std::max(kPieceBytes / RowBytes(streamed) / kStreams, int64_t{1}) * kStreams;
}

// The row that a stream reads in a step; behind the piece's end if it has none left.
HWY_INLINE int64_t RowOf(const Piece& piece, int64_t step, int64_t stream) {
  return piece.begin + step * kStreams + stream;
}

// Calls take(row) for all rows of a piece.
template <class Take>
HWY_INLINE void ForRows(const Piece& piece, const Take& take) {
  for (int64_t row = piece.begin; row < piece.end; ++row) take(row);
}

// Stores what belongs to a step's rows.
HWY_INLINE void StoreStep(const Piece& piece, int64_t step, StepVector numbers, float* row) {
  const int64_t first = RowOf(piece, step, 0);
  const hn::Full128<float> d;
  if (HWY_LIKELY(first + kStreams <= piece.end)) return hn::StoreU(numbers, d, row + first);
  hn::StoreN(numbers, d, row + first, static_cast<size_t>(piece.end - first));
}

// Whether the row before lies in another page.
HWY_INLINE bool BeginsPage(const FetchedRows& rows) {
  constexpr uintptr_t kPageBytes = 4096;
  return static_cast<int64_t>(reinterpret_cast<uintptr_t>(rows.row) % kPageBytes) <
         rows.stride_bytes;
}

// What is fetched is spread over all rows of all passes.
class Fetcher {
 public:
  HWY_INLINE Fetcher(const StreamedRows& streamed, const Piece& piece, int64_t pass_count)
      : rows_(RowsToFetch(streamed, piece.end, piece.row_count())),
        step_bytes_(
            std::max(RoundUp(rows_.row_bytes / pass_count, kCacheLineBytes), kCacheLineBytes)),
        near_row_offset_(-(piece.row_count() / 2 * rows_.stride_bytes)),
        rows_without_near_(piece.end < streamed.row_count ? 0 : piece.row_count() / 2) {
    FetchedRows far_rows = RowsToFetch(streamed, piece.end + piece.row_count(), piece.row_count());
    for (; far_rows.row_count > 0; far_rows.Advance()) {
      if (!BeginsPage(far_rows)) continue;
      hwy::Prefetch(far_rows.row);
      hwy::Prefetch(far_rows.row + kCacheLineBytes);
    }
  }

  // To be called for each row of each pass.
  HWY_INLINE void Read(int64_t /*pass*/, int64_t /*row*/) {
    if (line_ >= row_end_ && !BeginRow()) return;
    const std::byte* end = line_ + step_bytes_;
    for (; line_ < end; line_ += kCacheLineBytes) {
      hwy::Prefetch(line_);
      hwy::Prefetch(line_ + near_offset_);
    }
  }

 private:
  HWY_INLINE bool BeginRow() {
    if (rows_.row_count == 0) return false;
    line_ = rows_.row;
    row_end_ = line_ + rows_.row_bytes;
    rows_.Advance();
    near_offset_ = rows_without_near_-- > 0 ? 0 : near_row_offset_;
    return true;
  }

  FetchedRows rows_;
  int64_t step_bytes_;
  int64_t near_row_offset_;    // from a row to the one half a piece before
  int64_t rows_without_near_;  // that one belongs to others
  int64_t near_offset_ = 0;
  const std::byte* line_ = nullptr;
  const std::byte* row_end_ = nullptr;
};

#else

// Each quarter of the rows is a sequence of addresses of its own for the processor's prefetchers.
HWY_INLINE int64_t PieceRows(const StreamedRows& streamed) {
  return std::max(streamed.row_count, int64_t{1});
}

HWY_INLINE int64_t RowOf(const Piece& piece, int64_t step, int64_t stream) {
  return piece.begin + stream * piece.step_count() + step;
}

template <class Take>
HWY_INLINE void ForRows(const Piece& piece, const Take& take) {
  for (int64_t step = 0; step < piece.step_count(); ++step) {
    for (int64_t stream = 0; stream < kStreams; ++stream) {
      const int64_t row = RowOf(piece, step, stream);
      if (row >= piece.end) break;
      take(row);
    }
  }
}

HWY_INLINE void StoreStep(const Piece& piece, int64_t step, StepVector numbers, float* row) {
  float lanes[kStreams];
  hn::StoreU(numbers, hn::Full128<float>(), lanes);
  for (int64_t stream = 0; stream < kStreams; ++stream) {
    const int64_t key = RowOf(piece, step, stream);
    if (key < piece.end) row[key] = lanes[stream];
  }
}

// The first pass fetches the rows that will be read next.
class Fetcher {
 public:
  HWY_INLINE Fetcher(const StreamedRows& streamed, const Piece& piece, int64_t /*pass_count*/)
      : rows_(RowsToFetch(streamed, piece.end, piece.row_count())) {}

  HWY_INLINE void Read(int64_t pass, int64_t row) const {
    if (pass > 0 || row >= rows_.row_count) return;
    FetchedRows next = rows_;
    next.row += row * next.stride_bytes;
    FetchRow(next);
  }

 private:
  FetchedRows rows_;
};

#endif

// Calls take(piece) for all pieces in order; for an empty one if there are no rows.
template <class Take>
HWY_INLINE void ForPieces(const StreamedRows& streamed, const Take& take) {
  const int64_t piece_rows = PieceRows(streamed);
  int64_t begin = 0;
  do {
    take(Piece{begin, std::min(begin + piece_rows, streamed.row_count)});
    begin += piece_rows;
  } while (begin < streamed.row_count);
}

}  // namespace attention::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
