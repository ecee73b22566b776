// The order in which the tiles of a call are computed, and on which threads.

#ifndef ATTENTION_KERNELS_FUSED_HEAD_SCHEDULE_H_
#define ATTENTION_KERNELS_FUSED_HEAD_SCHEDULE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/fused/query_tile.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

struct ScheduleOutcome {
  int thread_count = 1;       // threads that took part
  int64_t f32_row_count = 0;  // rows that had to be computed in f32
};

// Computes all tiles, the costliest first. Where there are plenty of heads for the threads, each
// head is one thread's, which packs its keys and values into memory that stays in its cache;
// otherwise keys and values are packed first and tiles are shared out. The results are the same.
// kInternal if the matrix library failed. Throws std::bad_alloc. Memory is kept by the threads for
// the next call, up to kKeptPackedBytes each.
[[nodiscard]] absl::StatusOr<ScheduleOutcome> ComputeHeads(const FusedCall& call,
                                                           const TilePlan& plan);

// How many heads have packed keys and values at a time, at most, on so many threads. Extents alone
// matter. A double, since it must not overflow.
[[nodiscard]] double MostPackedHeads(const AttentionProblem& problem, int thread_count);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_HEAD_SCHEDULE_H_
