// The product of a tile of input rows and a panel of a weight in f32, over some weight rows.
//
//   sums[row][column] (+)= sum over k of rows[row][k] * panel[k][column]

#ifndef ATTENTION_KERNELS_PROJECTION_F32_TILE_PRODUCT_H_
#define ATTENTION_KERNELS_PROJECTION_F32_TILE_PRODUCT_H_

#include <cstdint>

#include "absl/status/status.h"

namespace attention::kernels {

// Rows that lie further apart are copied before they are multiplied: the matrix library counts in
// 32 bits.
inline constexpr int64_t kMostKernelStride = int64_t{1} << 24;

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

// kInternal if the matrix library failed. Thread safety: reentrant. Allocation: none of ours, once
// a shape's kernel has been made.
[[nodiscard]] absl::Status MultiplyTile(const F32TileProduct& product);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_F32_TILE_PRODUCT_H_
