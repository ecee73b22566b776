// The two matrix products of a tile of rows and a strip of keys.

#ifndef ATTENTION_KERNELS_FUSED_TILE_PRODUCTS_H_
#define ATTENTION_KERNELS_FUSED_TILE_PRODUCTS_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "kernels/fused/selected_kernel.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// Rows that a tile's operands have: matrix kernels are made for some row counts only, and the rows
// beyond the real ones hold zeros.
[[nodiscard]] int64_t PaddedRowCount(int64_t row_count, const Products& products);

// Rows [begin, end) of a tile.
struct TileRows {
  int64_t begin = 0;
  int64_t end = 0;

  [[nodiscard]] int64_t count() const { return end - begin; }
};

// F32 and BF16 products are oneDNN's, split ones our own. One thread's, within a MatrixKernelScope
// and, if products are split, a TileRegisterScope. Statuses: kInternal if oneDNN failed.
class TileProducts {
 public:
  // `plan` must outlive the object.
  TileProducts(const TilePlan& plan, int64_t padded_row_count, int64_t value_width)
      : plan_(plan), row_count_(padded_row_count), value_width_(value_width) {}

  // scores [rows, score stride] = queries keys, for `rows` and `column_count` keys from a packed
  // one on. Queries and scores are those of the tile's first row.
  absl::Status ComputeScores(const TileRows& rows, const std::byte* queries, const std::byte* keys,
                             int64_t column_count, float* scores);

  // outputs [rows, output stride] += weights values, in the same way. Only BF16 needs a padded
  // number of keys.
  absl::Status AccumulateOutput(const TileRows& rows, const std::byte* weights,
                                const std::byte* values, int64_t key_count, float* outputs);

 private:
  const TilePlan& plan_;
  const int64_t row_count_;
  const int64_t value_width_;
  SelectedKernel score_kernel_;
  SelectedKernel output_kernel_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_PRODUCTS_H_
