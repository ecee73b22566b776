#include "kernels/projection/matrix_tile_product.h"

#include <algorithm>
#include <memory>

#include "absl/status/statusor.h"
#include "kernels/instruction_set.h"
#include "kernels/projection/projection_plan.h"

namespace attention::kernels {
namespace {

// In f32, for processors that the matrix library has no kernels for.
void MultiplyPlainly(const MatrixTileProduct& product) {
  const auto* rows = reinterpret_cast<const float*>(product.rows);
  const auto* panel = reinterpret_cast<const float*>(product.panel);
  for (int64_t row = 0; row < product.row_count; ++row) {
    float* sums = product.sums + row * product.column_count;
    if (!product.accumulate) std::fill_n(sums, product.column_count, 0.0f);
    for (int64_t k = 0; k < product.inner_count; ++k) {
      const float factor = rows[row * product.row_stride + k];
      for (int64_t column = 0; column < product.column_count; ++column) {
        sums[column] += factor * panel[k * product.column_count + column];
      }
    }
  }
}

}  // namespace

absl::Status MultiplyTile(const MatrixTileProduct& product) {
  if (EffectiveInstructionLevel() < InstructionLevel::kAvx2) {
    MultiplyPlainly(product);
    return absl::OkStatus();
  }
  MatrixKernelShape shape = {.type = product.type,
                             .row_count = product.row_count,
                             .column_count = product.column_count,
                             .a_stride = product.row_stride,
                             .b_stride = product.column_count,
                             .c_stride = product.column_count};
  const int64_t element_bytes = product.type == MatrixType::kBF16 ? 2 : 4;
  for (int64_t first = 0; first < product.inner_count; first += kChunkRows) {
    shape.accumulate = product.accumulate || first > 0;
    shape.inner_count = std::min(kChunkRows, product.inner_count - first);
    const absl::StatusOr<std::shared_ptr<const MatrixKernel>> kernel = FindMatrixKernel(shape);
    if (!kernel.ok()) return kernel.status();
    const absl::Status status =
        (*kernel)->Run(product.rows + first * element_bytes,
                       product.panel + first * product.column_count * element_bytes, product.sums);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace attention::kernels
