#include "kernels/fused/tile_plan.h"

#include <algorithm>
#include <bit>

#include "kernels/amx/tile_product.h"
#include "kernels/instruction_set.h"

namespace attention::kernels {
namespace {

constexpr int64_t kVectorElements = 16;

struct TileSize {
  int64_t rows;
  int64_t least_rows;  // where there are few tiles for the threads
  int64_t key_columns;
  int64_t strip_columns;
};

// Tile registers hold what they multiply: strips as long as the block. Measured best on one
// Sapphire Rapids core (2 MiB of second-level cache); neighbours are within a few per cent. With
// causality or a window tiles are lower, since what they compute beside the diagonal is thrown
// away.
TileSize SizeForTileRegisters(const Products& products, bool diagonal, bool wide) {
  const int64_t rows = diagonal || (wide && !products.split()) ? 64 : 128;
  return {.rows = rows, .least_rows = rows, .key_columns = 512, .strip_columns = 512};
}

// Vector units read keys again for every few rows, so a strip is what stays in the first-level
// cache: four vectors of scores wide, as the kernels hold in registers, or twice that. Measured
// best on one Zen 5 core (1 MiB of second-level cache, which scores of F32 fill to a half);
// processors with AVX2 alone have smaller caches.
TileSize SizeForVectors(const Products& products, bool diagonal) {
  if (products.bf16) {
    return {
        .rows = 128, .least_rows = 64, .key_columns = 512, .strip_columns = diagonal ? 64 : 128};
  }
  if (EffectiveInstructionLevel() < InstructionLevel::kAvx512) {
    return {.rows = 128, .least_rows = 64, .key_columns = 256, .strip_columns = 32};
  }
  return {.rows = 256, .least_rows = 64, .key_columns = 512, .strip_columns = 64};
}

TileSize PreferredTile(const Products& products, const AttentionProblem& problem) {
  const bool diagonal =
      problem.causal || problem.left_window.has_value() || problem.right_window.has_value();
  const bool wide = std::max(problem.key.extents[3], problem.value.extents[3]) > 64;
  return UsesTileRegisters(products) ? SizeForTileRegisters(products, diagonal, wide)
                                     : SizeForVectors(products, diagonal);
}

// Tile registers are stored slowly, and caches hold few lines, at strides of a multiple of 2 KiB.
int64_t AvoidAliasing(int64_t stride_elements, int64_t element_bytes) {
  constexpr int64_t kAliasBytes = 512;
  constexpr int64_t kCacheLineBytes = 64;
  if (stride_elements * element_bytes % kAliasBytes != 0) return stride_elements;
  return stride_elements + kCacheLineBytes / element_bytes;
}

}  // namespace

TilePlan PlanTiles(const AttentionProblem& problem, const Products& products, int thread_count) {
  constexpr int64_t kTilesPerThread = 4;
  const bool bf16 = products.bf16;
  const TileSize preferred = PreferredTile(products, problem);
  const int64_t key_count = problem.key.extents[2];
  TilePlan plan;
  plan.products = &products;
  plan.group_size = problem.query.extents[1] / problem.key.extents[1];
  plan.group_row_count = plan.group_size * problem.query.extents[2];
  plan.tile_rows = preferred.rows;
  const int64_t group_count = problem.query.extents[0] * problem.key.extents[1];
  const auto tiles_of_group = [&] { return DivideUp(plan.group_row_count, plan.tile_rows); };
  while (thread_count > 1 && plan.tile_rows > preferred.least_rows &&
         group_count * tiles_of_group() < kTilesPerThread * thread_count) {
    plan.tile_rows /= 2;
  }
  plan.tile_count = tiles_of_group();
  plan.column_multiple = bf16 ? kPairedColumns : kColumnMultiple;
  plan.strip_columns = preferred.strip_columns;
  // Powers of two, so that few strides occur and few kernels are made.
  const int64_t columns = plan.PaddedColumns(std::max<int64_t>(key_count, 1));
  plan.key_columns = std::min(preferred.key_columns,
                              static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(columns))));
  plan.inner_width = RoundUp(problem.key.extents[3], products.split() ? kBlockInnerCount
                                                     : bf16           ? 2
                                                                      : 1);
  plan.key_stride = AvoidAliasing(plan.key_columns, sizeof(uint32_t));
  plan.score_stride = AvoidAliasing(plan.key_columns, sizeof(float));
  plan.weight_stride = AvoidAliasing(plan.key_columns, sizeof(uint16_t));
  plan.value_stride = RoundUp(problem.value.extents[3], kVectorElements);
  plan.output_stride = AvoidAliasing(plan.value_stride, sizeof(float));
  plan.key_block_count = DivideUp(key_count, plan.key_columns);
  return plan;
}

double MostPackedHeadBytes(const AttentionProblem& problem, Precision precision) {
  // Of a number: three parts of two bytes, or f32 where the processor has no BF16 products.
  const bool splits = problem.query.type == DataType::kF32 && precision != Precision::kF32;
  const double number_bytes = splits ? 6 : 4;
  // The last block of keys is padded, rows of packed keys are spread a little (AvoidAliasing), and
  // widths are rounded up, of split keys to tile registers.
  constexpr double kMostPaddingOfFewKeys = 63;
  constexpr double kMostPaddingOfManyKeys = 511;
  constexpr double kSpread = 1.125;
  constexpr double kMostPaddingOfValues = kVectorElements - 1;
  const double most_padding_of_width = splits ? kBlockInnerCount - 1 : 1;
  const auto keys = static_cast<double>(problem.key.extents[2]);
  const double padded_keys = keys + std::clamp(keys, kMostPaddingOfFewKeys, kMostPaddingOfManyKeys);
  const double widths =
      kSpread * (static_cast<double>(problem.key.extents[3]) + most_padding_of_width) +
      static_cast<double>(problem.value.extents[3]) + kMostPaddingOfValues;
  return padded_keys * widths * number_bytes;
}

}  // namespace attention::kernels
