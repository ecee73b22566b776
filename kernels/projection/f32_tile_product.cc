#include "kernels/projection/f32_tile_product.h"

#include <algorithm>
#include <memory>

#include "absl/status/statusor.h"
#include "kernels/instruction_set.h"
#include "kernels/onednn/matrix_kernel.h"
#include "kernels/projection/projection_plan.h"

namespace attention::kernels {
namespace {

// For processors that the matrix library has no kernels for.
void MultiplyPlainly(const F32TileProduct& product) {
  for (int64_t row = 0; row < product.row_count; ++row) {
    float* sums = product.sums + row * product.column_count;
    if (!product.accumulate) std::fill_n(sums, product.column_count, 0.0f);
    for (int64_t k = 0; k < product.inner_count; ++k) {
      const float factor = product.rows[row * product.row_stride + k];
      const float* panel = product.panel + k * product.column_count;
      for (int64_t column = 0; column < product.column_count; ++column) {
        sums[column] += factor * panel[column];
      }
    }
  }
}

}  // namespace

absl::Status MultiplyTile(const F32TileProduct& product) {
  if (EffectiveInstructionLevel() < InstructionLevel::kAvx2) {
    MultiplyPlainly(product);
    return absl::OkStatus();
  }
  MatrixKernelShape shape = {.type = MatrixType::kF32,
                             .row_count = product.row_count,
                             .column_count = product.column_count,
                             .a_stride = product.row_stride,
                             .b_stride = product.column_count,
                             .c_stride = product.column_count};
  for (int64_t first = 0; first < product.inner_count; first += kChunkRows) {
    shape.accumulate = product.accumulate || first > 0;
    shape.inner_count = std::min(kChunkRows, product.inner_count - first);
    const absl::StatusOr<std::shared_ptr<const MatrixKernel>> kernel = FindMatrixKernel(shape);
    if (!kernel.ok()) return kernel.status();
    (*kernel)->Run(product.rows + first, product.panel + first * product.column_count,
                   product.sums);
  }
  return absl::OkStatus();
}

}  // namespace attention::kernels
