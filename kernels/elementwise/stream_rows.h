// Products of a few query rows with many key or value rows, which are read once, as they lie in
// memory: what decoding spends its time on. Bound by memory bandwidth, so rows are read in the
// order that the processor's prefetchers follow best, and the rows that come next are fetched
// ahead.
//
// Free functions on raw arrays, compiled for several instruction sets. Thread safety: reentrant.
// Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_STREAM_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_STREAM_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// Rows of keys or values: F32, F16 or BF16.
struct StreamedRows {
  DataType type = DataType::kF32;
  const std::byte* data = nullptr;
  int64_t row_stride_bytes = 0;
  int64_t row_count = 0;
  int64_t width = 0;

  // Rows that will be read next, as many and as wide; null for none.
  const std::byte* next = nullptr;
  int64_t next_row_stride_bytes = 0;
  int64_t next_row_bytes = 0;
};

[[nodiscard]] inline int64_t RowBytes(const StreamedRows& rows) {
  return rows.width * static_cast<int64_t>(ElementBytes(rows.type));
}

// A few rows of f32.
struct FewRows {
  float* data = nullptr;
  int64_t stride_elements = 0;
  int64_t row_count = 0;
};

// A few query rows: BF16 where the streamed rows are, else f32.
struct QueryRows {
  const std::byte* data = nullptr;
  int64_t stride_bytes = 0;
  int64_t row_count = 0;
};
[[nodiscard]] constexpr DataType QueryRowType(DataType streamed) {
  return streamed == DataType::kBF16 ? DataType::kBF16 : DataType::kF32;
}

// products[row][i] = sum over columns of queries[row][column] * streamed[i][column], in f32.
// Numbers of BF16 below the least normal one may count as 0.
void DotStreamedRows(const StreamedRows& streamed, const QueryRows& queries,
                     const FewRows& products);

// sums[row][column] = sum over i of weights[row][i] * streamed[i][column].
void SumStreamedRows(const StreamedRows& streamed, const FewRows& weights, const FewRows& sums);

// The same bits for weights that are not `skipped` (compared by equality), but rows whose weight is
// take no part at all, whatever they hold. For one row of weights.
void SumStreamedRowsExcept(const StreamedRows& streamed, const FewRows& weights, float skipped,
                           const FewRows& sums);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_STREAM_ROWS_H_
