#include "kernels/fused/tile_plan.h"

#include <algorithm>

namespace attention::kernels {
namespace {

struct TileSize {
  int64_t query_rows;
  int64_t key_columns;
};

// Measured best on one Sapphire Rapids core (2 MiB of second-level cache) among powers of two.
// Causal tiles are lower, since what a tile computes above the diagonal is thrown away.
TileSize PreferredTile(MatrixType type, const AttentionProblem& problem) {
  const bool causal = problem.causal_offset.has_value();
  if (type == MatrixType::kF32) {
    if (!causal) return {256, 128};
    return problem.query.extents[2] <= 512 ? TileSize{32, 64} : TileSize{64, 128};
  }
  const bool wide = std::max(problem.key.extents[3], problem.value.extents[3]) > 64;
  return causal || wide ? TileSize{64, 512} : TileSize{128, 512};
}

// Tile registers are stored slowly, and caches hold few lines, at strides of a multiple of 2 KiB.
int64_t AvoidAliasing(int64_t stride_elements, int64_t element_bytes) {
  constexpr int64_t kAliasBytes = 2048;
  constexpr int64_t kCacheLineBytes = 64;
  if (stride_elements * element_bytes % kAliasBytes != 0) return stride_elements;
  return stride_elements + kCacheLineBytes / element_bytes;
}

}  // namespace

TilePlan PlanTiles(const AttentionProblem& problem, bool has_bf16_tiles) {
  constexpr int64_t kVectorElements = 16;
  TilePlan plan;
  plan.type = has_bf16_tiles && problem.query.type == DataType::kBF16 ? MatrixType::kBF16
                                                                      : MatrixType::kF32;
  const TileSize preferred = PreferredTile(plan.type, problem);
  const int64_t query_count = problem.query.extents[2];
  const int64_t key_count = problem.key.extents[2];
  plan.query_rows = std::min(preferred.query_rows, std::max<int64_t>(query_count, 1));
  plan.key_columns =
      std::min(preferred.key_columns, RoundUp(std::max<int64_t>(key_count, 1), kColumnMultiple));
  plan.inner_width = RoundUp(problem.key.extents[3], plan.type == MatrixType::kBF16 ? 2 : 1);
  plan.score_stride = AvoidAliasing(plan.key_columns, sizeof(float));
  plan.weight_stride = AvoidAliasing(plan.key_columns, sizeof(uint16_t));
  plan.value_stride = RoundUp(problem.value.extents[3], kVectorElements);
  plan.output_stride = AvoidAliasing(plan.value_stride, sizeof(float));
  plan.query_tile_count = (query_count + plan.query_rows - 1) / plan.query_rows;
  plan.key_block_count = (key_count + plan.key_columns - 1) / plan.key_columns;
  return plan;
}

}  // namespace attention::kernels
