#include "kernels/fused/tile_products.h"

#include "kernels/amx/tile_product.h"
#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {

int64_t PaddedRowCount(int64_t row_count, const Products& products) {
  if (products.split()) return RoundUp(row_count, kTileRegisterRows);
  for (const int64_t few : {1, 2, 4, 8}) {
    if (row_count <= few) return few;
  }
  // Tile registers multiply 16 rows at a time; other units would waste what they need not, but of
  // many rows a few do not matter, and kernels are fewer.
  const int64_t vector_multiple = row_count <= kRowStep ? 4 : 8;
  return RoundUp(row_count, UsesTileRegisters(products) ? kTileRegisterRows : vector_multiple);
}

absl::Status TileProducts::ComputeScores(const TileRows& rows, const std::byte* queries,
                                         const std::byte* keys, int64_t column_count,
                                         float* scores) {
  queries += rows.begin * plan_.inner_width * plan_.ElementBytes();
  scores += rows.begin * plan_.score_stride;
  if (plan_.products->split()) {
    Multiply({.product_count = plan_.products->product_count,
              .rows = {.data = reinterpret_cast<const uint16_t*>(queries),
                       .row_stride = plan_.inner_width,
                       .block_stride = kBlockInnerCount,
                       .part_stride = row_count_ * plan_.inner_width},
              .panel = {.data = reinterpret_cast<const uint16_t*>(keys),
                        .row_stride = 2 * plan_.key_stride,
                        .block_stride = kBlockInnerCount * plan_.key_stride,
                        .part_stride = plan_.inner_width * plan_.key_stride},
              .row_count = rows.count(),
              .column_count = column_count,
              .block_count = plan_.inner_width / kBlockInnerCount,
              .accumulate = false,
              .sums = scores,
              .sums_stride = plan_.score_stride});
    return absl::OkStatus();
  }
  const absl::Status status =
      score_kernel_.Select({.type = plan_.products->bf16 ? MatrixType::kBF16 : MatrixType::kF32,
                            .accumulate = false,
                            .row_count = rows.count(),
                            .column_count = column_count,
                            .inner_count = plan_.inner_width,
                            .a_stride = plan_.inner_width,
                            .b_stride = plan_.key_stride,
                            .c_stride = plan_.score_stride});
  return status.ok() ? score_kernel_->Run(queries, keys, scores) : status;
}

absl::Status TileProducts::AccumulateOutput(const TileRows& rows, const std::byte* weights,
                                            const std::byte* values, int64_t key_count,
                                            float* outputs) {
  const bool bf16 = plan_.products->bf16;
  const int64_t weight_stride = bf16 ? plan_.weight_stride : plan_.score_stride;
  weights += rows.begin * weight_stride * plan_.ElementBytes();
  outputs += rows.begin * plan_.output_stride;
  if (plan_.products->split()) {
    Multiply({.product_count = plan_.products->product_count,
              .rows = {.data = reinterpret_cast<const uint16_t*>(weights),
                       .row_stride = weight_stride,
                       .block_stride = kBlockInnerCount,
                       .part_stride = row_count_ * weight_stride},
              .panel = {.data = reinterpret_cast<const uint16_t*>(values),
                        .row_stride = 2 * plan_.value_stride,
                        .block_stride = kBlockInnerCount * plan_.value_stride,
                        .part_stride = plan_.key_columns * plan_.value_stride},
              .row_count = rows.count(),
              .column_count = plan_.value_stride,
              .block_count = key_count / kBlockInnerCount,
              .accumulate = true,
              .sums = outputs,
              .sums_stride = plan_.output_stride});
    return absl::OkStatus();
  }
  const absl::Status status =
      output_kernel_.Select({.type = bf16 ? MatrixType::kBF16 : MatrixType::kF32,
                             .accumulate = true,
                             .row_count = rows.count(),
                             .column_count = value_width_,
                             .inner_count = key_count,
                             .a_stride = weight_stride,
                             .b_stride = plan_.value_stride,
                             .c_stride = plan_.output_stride});
  return status.ok() ? output_kernel_->Run(weights, values, outputs) : status;
}

}  // namespace attention::kernels
