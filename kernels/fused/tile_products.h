// The two matrix products of a tile of rows and a block of keys.

#ifndef ATTENTION_KERNELS_FUSED_TILE_PRODUCTS_H_
#define ATTENTION_KERNELS_FUSED_TILE_PRODUCTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/fused/selected_kernel.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// Rows that a tile's operands have: matrix kernels are made for a few row counts only, and the rows
// beyond the real ones hold zeros.
[[nodiscard]] int64_t PaddedRowCount(int64_t row_count, const Products& products);

// F32 and BF16 products are oneDNN's, split ones our own. One thread's, within a MatrixKernelScope
// and, if products are split, a TileRegisterScope. Statuses: kInternal if oneDNN failed.
class TileProducts {
 public:
  // `plan` must outlive the object.
  TileProducts(const TilePlan& plan, int64_t padded_row_count, int64_t value_width)
      : plan_(plan), row_count_(padded_row_count), value_width_(value_width) {}

  // scores [rows, score stride] = queries keys, for the first `column_count` keys of a packed
  // block.
  absl::Status ComputeScores(const void* queries, const void* keys, int64_t column_count,
                             float* scores);

  // outputs [rows, output stride] += weights values, for the first `key_count` of a packed block.
  absl::Status AccumulateOutput(const void* weights, const void* values, int64_t key_count,
                                float* outputs);

 private:
  const TilePlan& plan_;
  const int64_t row_count_;
  const int64_t value_width_;
  SelectedKernel score_kernel_;
  SelectedKernel output_kernel_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_PRODUCTS_H_
