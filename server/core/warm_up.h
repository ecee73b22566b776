// Computes a few shapes before the first request does, so that no request waits for code to be
// generated (0.3 to 4 ms a matrix kernel) or for fresh memory to be faulted in.

#ifndef ATTENTION_SERVER_CORE_WARM_UP_H_
#define ATTENTION_SERVER_CORE_WARM_UP_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "kernels/attend.h"
#include "server/core/clock.h"
#include "server/core/compute_pool.h"

namespace attention::server {

// A sequence as models have it. Every extent is at least 1, and key_value_head_count divides
// head_count.
struct WarmUpShape {
  int64_t head_count = 1;
  int64_t key_value_head_count = 1;
  int64_t token_count = 1;
  int64_t width = 1;  // of one head

  bool operator==(const WarmUpShape&) const = default;
};

// Elements of the largest array that warming up with this shape needs: of queries or of the weights
// of a projection. No more than 2^63 for extents that a request may have.
[[nodiscard]] int64_t LargestArrayElements(const WarmUpShape& shape);

// Encoders of 128 and decoders of up to 1,024 tokens, heads of width 64 and 128.
[[nodiscard]] const std::vector<WarmUpShape>& CommonWarmUpShapes();

struct WarmUpOptions {
  std::vector<WarmUpShape> shapes;  // none: there is nothing to do
  std::chrono::milliseconds limit{1000};
};

struct WarmUpReport {
  int64_t planned_task_count = 0;  // over all threads
  int64_t computed_task_count = 0;
  std::chrono::nanoseconds elapsed{0};
  absl::Status status;  // the first fault of a task, if there was one; the others went on
};

// On every thread of the pool, in F32 (with f32 products and, if that is another, with the default
// precision) and in BF16, for every shape: its tokens attending to each other, the same causally,
// the last token attending to all, and projections from and to embeddings, of 64 tokens at most.
// Skips what would be computed in float64, for which no code is generated. Ends when all is done
// or, between two tiles, when `options.limit` is over, and returns what was done by then. The
// numbers are made up; nothing is kept but what the kernels and the allocator keep. Meant for a
// pool without other jobs: for these it would be in the way.
[[nodiscard]] WarmUpReport WarmUp(ComputePool& pool, const WarmUpOptions& options,
                                  kernels::Precision default_precision, const Clock& clock);

// Calls `work(index)` once on each of the pool's threads, index being 0, 1 and so on, and returns
// once all calls have returned. `work` must not throw. kResourceExhausted if the queue is full;
// then some of the calls may be missing.
[[nodiscard]] absl::Status RunOnEveryThread(ComputePool& pool, absl::FunctionRef<void(int)> work);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_WARM_UP_H_
