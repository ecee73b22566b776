// The vectorized loops around the matrix products of projections: packing of weights and rows, and
// storing of sums. Compiled for several instruction sets.
//
// BF16 parts of numbers: see SplitToBF16. Weights lie in panels of some columns. An F32 panel is
// [row][column]. A BF16 panel is [block of kBlockRows rows][part][pair of rows][column][2], and
// rows to be multiplied with it are [block of kBlockRows columns][part][row][kBlockRows]: what tile
// instructions read, with all parts of a block close together.
//
// Free functions on raw arrays. Thread safety: reentrant. Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_PROJECTION_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_PROJECTION_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/amx/tile_product.h"
#include "kernels/elementwise/number_rows.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

inline constexpr int64_t kBlockRows = kBlockInnerCount;

// AllSplittable for a block of F32.
[[nodiscard]] bool BlockSplittable(const NumberRows& weight);

// An F32 panel of `panel_columns`, at least weight.width; the rest is 0.
void PackPanelToF32(const NumberRows& weight, int64_t panel_columns, float* panel);

// A BF16 panel of `part_count` parts: 1, or 3 from F32. A last block is filled up with rows of 0.
// Returns false, with the panel half written, if there are three parts and some number cannot be
// split.
[[nodiscard]] bool PackPanelToBF16(const NumberRows& weight, int64_t panel_columns,
                                   int64_t part_count, uint16_t* panel);

// The F32 panel that a BF16 panel of three parts was split from.
void JoinPanelParts(const uint16_t* panel, int64_t row_count, int64_t panel_columns, float* joined);

// One row of F32 or BF16 numbers in blocks, `block_stride` elements apart, parts `part_stride`
// elements apart. `part_count` as above. A last block is filled up with 0.
struct RowBlocks {
  uint16_t* data = nullptr;
  int64_t block_stride = 0;
  int64_t part_stride = 0;
  int64_t part_count = 1;
};
void PackRowToBF16(DataType type, const void* row, int64_t width, const RowBlocks& blocks);

// destination[row][column] = sums[row][column] + bias[column], rounded to nearest even.
struct BiasedRows {
  const float* sums = nullptr;
  int64_t sum_stride = 0;  // elements
  const float* bias = nullptr;
  int64_t row_count = 0;
  int64_t column_count = 0;
  DataType type = DataType::kF32;  // or F16 or BF16
  std::byte* destination = nullptr;
  int64_t destination_stride_bytes = 0;
};
void StoreBiasedRows(const BiasedRows& rows);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_PROJECTION_ROWS_H_
