// How the score matrix is cut into tiles.

#ifndef ATTENTION_KERNELS_FUSED_TILE_PLAN_H_
#define ATTENTION_KERNELS_FUSED_TILE_PLAN_H_

#include <cstdint>

#include "kernels/attend.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/products.h"

namespace attention::kernels {

// Products leave out multiples of these rows, from a tile's begin and its end.
inline constexpr int64_t kRowStep = 64;

// Depends on the problem's extents and type, on whether causality or a window hides, on the
// products and the processor alone, so that the bits of a result do not depend on what else the
// machine is doing. Only the height of tiles depends on the number of threads and on the batch,
// too: no bit depends on it, but those of the mass of keys, which is rounded once a tile.
//
// A tile's scores of one block are computed, weighed and multiplied with values before those of the
// next block. The two products go by strips of the block, and take only the rows that see something
// of their strip, with those between them.
//
// The rows of a tile are queries of all heads that share a key-value head: row r of a group is
// query r / group_size of head r % group_size, so that the rows of a tile see nearly the same keys.
struct TilePlan {
  const Products* products = nullptr;
  int64_t group_size = 1;       // query heads of one key-value head
  int64_t group_row_count = 0;  // group_size * queries
  int64_t tile_rows = 0;        // at most; a multiple of kRowStep
  int64_t key_columns = 0;      // of a block; a multiple of column_multiple
  int64_t column_multiple = 0;  // to which the last block is rounded up
  int64_t strip_columns = 0;    // strips end at multiples of it, or where a tile's keys end
  int64_t inner_width = 0;  // the key width, made even for BF16 and filling tile registers if split
  int64_t key_stride = 0;   // words of 32 bits from one packed row of keys to the next
  int64_t score_stride = 0;   // elements from one row of scores to the next
  int64_t weight_stride = 0;  // the same for BF16 weights
  int64_t value_stride = 0;   // elements from one packed row of values to the next
  int64_t output_stride = 0;  // elements from one row of the running output to the next
  int64_t tile_count = 0;     // of a group
  int64_t key_block_count = 0;

  [[nodiscard]] int64_t ElementBytes() const { return products->bf16 ? 2 : 4; }
  [[nodiscard]] int64_t PaddedColumns(int64_t key_count) const {
    return RoundUp(key_count, column_multiple);
  }
};

[[nodiscard]] TilePlan PlanTiles(const AttentionProblem& problem, const Products& products,
                                 int thread_count);

// Bytes of packed keys and values of a head, at most, whatever products and plan are chosen. A
// double, since it must not overflow.
[[nodiscard]] double MostPackedHeadBytes(const AttentionProblem& problem, Precision precision);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_PLAN_H_
