// The product of a tile of input rows and a panel of a weight, over some weight rows.
//
//   sums[row][column] (+)= sum over k of rows[row][k] * panel[k][column]
//
// Thread safety: reentrant, within a MatrixKernelScope of the calling thread. Allocation: none once
// a shape's kernel has been made. Errors: kInternal if the matrix library failed.

#ifndef ATTENTION_KERNELS_PROJECTION_TILE_PRODUCT_H_
#define ATTENTION_KERNELS_PROJECTION_TILE_PRODUCT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/projection/projection_plan.h"

namespace attention::kernels {

// Sums have rows of column_count.
struct F32TileProduct {
  const float* rows = nullptr;
  int64_t row_stride = 0;  // elements; at most kMostKernelStride
  int64_t row_count = 0;
  const float* panel = nullptr;
  int64_t column_count = 0;
  int64_t inner_count = 0;
  bool accumulate = false;
  float* sums = nullptr;
};
[[nodiscard]] absl::Status Multiply(const F32TileProduct& product);

// Rows that lie further apart are copied before they are multiplied: the matrix library counts in
// 32 bits.
inline constexpr int64_t kMostKernelStride = int64_t{1} << 24;

// Operands as kernels/elementwise/projection_rows.h describes them.
struct BF16TileProduct {
  ProductKind kind = ProductKind::kBF16;
  const uint16_t* rows = nullptr;
  int64_t row_count = 0;  // a multiple of kBF16RowMultiple
  const uint16_t* panel = nullptr;
  int64_t column_count = 0;
  int64_t inner_count = 0;  // filled up with 0 to whole blocks
  bool accumulate = false;
  float* sums = nullptr;
};
[[nodiscard]] absl::Status Multiply(const BF16TileProduct& product);

// The height of a tile register.
inline constexpr int64_t kBF16RowMultiple = 16;

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_TILE_PRODUCT_H_
