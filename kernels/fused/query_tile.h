// One tile of queries of one head: from packed keys and values to finished output rows.

#ifndef ATTENTION_KERNELS_FUSED_QUERY_TILE_H_
#define ATTENTION_KERNELS_FUSED_QUERY_TILE_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "kernels/attend.h"
#include "kernels/fused/packed_operands.h"
#include "kernels/fused/tile_plan.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {

// What all tiles of one call share. Everything outlives the tiles.
struct FusedCall {
  const AttentionProblem& problem;
  const AttentionOptions& options;
  const AttentionOutputs& outputs;
  const Execution& execution;
  const TilePlan& plan;
  const PackedOperands& packed;
  float scale;  // 1 / sqrt(key width) where the options give none
};

// Computes the queries [first_query, first_query + plan.query_rows), as far as they exist, of one
// head. Returns early, with OK, if a stop is requested. Thread safety: different tiles from any
// threads, each within a MatrixKernelScope. Working memory is kept by the thread for its next tile.
// Throws std::bad_alloc.
[[nodiscard]] absl::Status ComputeQueryTile(const FusedCall& call, int64_t batch, int64_t head,
                                            int64_t first_query);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_QUERY_TILE_H_
