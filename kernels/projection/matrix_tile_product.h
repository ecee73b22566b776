// The product of a tile of input rows and a panel of a weight, over some weight rows, by the matrix
// library.
//
//   sums[row][column] (+)= sum over k of rows[row][k] * panel[k][column]

#ifndef ATTENTION_KERNELS_PROJECTION_MATRIX_TILE_PRODUCT_H_
#define ATTENTION_KERNELS_PROJECTION_MATRIX_TILE_PRODUCT_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {

// Rows that lie further apart are copied before they are multiplied: the matrix library counts in
// 32 bits.
inline constexpr int64_t kMostKernelStride = int64_t{1} << 24;

// Sums have rows of column_count.
struct MatrixTileProduct {
  MatrixType type = MatrixType::kF32;
  const std::byte* rows = nullptr;
  int64_t row_stride = 0;  // elements; at most kMostKernelStride
  int64_t row_count = 0;
  const std::byte* panel = nullptr;  // in BF16 [pair of k][column][2]
  int64_t column_count = 0;
  int64_t inner_count = 0;  // even in BF16
  bool accumulate = false;
  float* sums = nullptr;
};

// BF16 only where InstructionLevel::kAvx512Bf16 is there. kInternal if the matrix library failed.
// Thread safety: reentrant. Allocation: none of ours, once a shape's kernel has been made.
[[nodiscard]] absl::Status MultiplyTile(const MatrixTileProduct& product);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_MATRIX_TILE_PRODUCT_H_
