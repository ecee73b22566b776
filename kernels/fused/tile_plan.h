// How the score matrix is cut into tiles.

#ifndef ATTENTION_KERNELS_FUSED_TILE_PLAN_H_
#define ATTENTION_KERNELS_FUSED_TILE_PLAN_H_

#include <cstdint>

#include "kernels/attend.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {

// Depends on the problem's extents, type and causality and on the instruction set alone, so that
// the bits of a result do not depend on what else the machine is doing.
struct TilePlan {
  MatrixType type = MatrixType::kF32;  // what the matrix products read
  int64_t query_rows = 0;              // of a tile
  int64_t key_columns = 0;             // of a block; a multiple of kColumnMultiple
  int64_t inner_width = 0;             // the key width, made even for BF16
  int64_t score_stride = 0;            // elements from one row of scores to the next
  int64_t weight_stride = 0;           // the same for BF16 weights
  int64_t value_stride = 0;            // elements from one packed row of values to the next
  int64_t output_stride = 0;           // elements from one row of the running output to the next
  int64_t query_tile_count = 0;
  int64_t key_block_count = 0;

  [[nodiscard]] int64_t ElementBytes() const { return type == MatrixType::kBF16 ? 2 : 4; }
};

[[nodiscard]] TilePlan PlanTiles(const AttentionProblem& problem, bool has_bf16_tiles);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_PLAN_H_
