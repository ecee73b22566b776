#include "kernels/fused/tile_plan.h"

#include <algorithm>

#include "kernels/amx/tile_product.h"
#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {
namespace {

struct TileSize {
  int64_t rows;
  int64_t key_columns;
};

// Measured best on one Sapphire Rapids core (2 MiB of second-level cache); neighbours in the table
// are within a few per cent. Causal and windowed tiles are lower, since what a tile computes
// beside the diagonal is thrown away.
TileSize PreferredTile(const Products& products, const AttentionProblem& problem) {
  const bool causal =
      problem.causal || problem.left_window.has_value() || problem.right_window.has_value();
  const bool wide = std::max(problem.key.extents[3], problem.value.extents[3]) > 64;
  if (products.split()) return {causal ? 64 : 128, 512};
  if (products.bf16) return causal || wide ? TileSize{64, 512} : TileSize{128, 512};
  if (causal) return {64, 128};
  if (wide) return {256, 128};
  constexpr int64_t kFewKeys = 384;  // one long block of scores is cheaper than two short ones
  return problem.key.extents[2] <= kFewKeys ? TileSize{128, kFewKeys} : TileSize{128, 256};
}

// Tile registers are stored slowly, and caches hold few lines, at strides of a multiple of 2 KiB.
int64_t AvoidAliasing(int64_t stride_elements, int64_t element_bytes) {
  constexpr int64_t kAliasBytes = 512;
  constexpr int64_t kCacheLineBytes = 64;
  if (stride_elements * element_bytes % kAliasBytes != 0) return stride_elements;
  return stride_elements + kCacheLineBytes / element_bytes;
}

}  // namespace

TilePlan PlanTiles(const AttentionProblem& problem, const Products& products) {
  constexpr int64_t kVectorElements = 16;
  const bool bf16 = products.bf16;
  const TileSize preferred = PreferredTile(products, problem);
  const int64_t key_count = problem.key.extents[2];
  TilePlan plan;
  plan.products = &products;
  plan.group_size = problem.query.extents[1] / problem.key.extents[1];
  plan.group_row_count = plan.group_size * problem.query.extents[2];
  plan.tile_rows = std::min(preferred.rows, std::max<int64_t>(plan.group_row_count, 1));
  plan.column_multiple = bf16 ? kPairedColumns : kColumnMultiple;
  plan.key_columns =
      std::min(preferred.key_columns, plan.PaddedColumns(std::max<int64_t>(key_count, 1)));
  plan.inner_width = RoundUp(problem.key.extents[3], products.split() ? kBlockInnerCount
                                                     : bf16           ? 2
                                                                      : 1);
  plan.key_stride = AvoidAliasing(plan.key_columns, sizeof(uint32_t));
  plan.score_stride = AvoidAliasing(plan.key_columns, sizeof(float));
  plan.weight_stride = AvoidAliasing(plan.key_columns, sizeof(uint16_t));
  plan.value_stride = RoundUp(problem.value.extents[3], kVectorElements);
  plan.output_stride = AvoidAliasing(plan.value_stride, sizeof(float));
  plan.tile_count = (plan.group_row_count + plan.tile_rows - 1) / plan.tile_rows;
  plan.key_block_count = (key_count + plan.key_columns - 1) / plan.key_columns;
  return plan;
}

}  // namespace attention::kernels
