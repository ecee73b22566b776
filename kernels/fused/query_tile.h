// One tile of the score matrix's rows: from packed keys and values to finished output rows.

#ifndef ATTENTION_KERNELS_FUSED_QUERY_TILE_H_
#define ATTENTION_KERNELS_FUSED_QUERY_TILE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/attend.h"
#include "kernels/fused/fused_call.h"
#include "kernels/fused/packed_head.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// Rows [first_row, first_row + row_count) of a group, at most tile_rows of the plan. Keys and
// values are packed as the plan says.
struct QueryTileTask {
  const FusedCall& call;
  const TilePlan& plan;
  PackedHead& head;
  int64_t first_row;
  int64_t row_count;
};

// Computes the tile, packing what it reads. Rows with numbers that the plan's products cannot hold
// are computed once more, in f32. Returns how many those were; early, if a stop is requested.
// kInternal if the matrix library failed. Thread safety: different tiles from any threads if their
// blocks are packed, each within a MatrixKernelScope and, if
// products are split, a TileRegisterScope. Working memory, unless heads are very wide, is
// kept by the thread for its next tile. Throws std::bad_alloc.
[[nodiscard]] absl::StatusOr<int64_t> ComputeQueryTile(const QueryTileTask& task);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_QUERY_TILE_H_
