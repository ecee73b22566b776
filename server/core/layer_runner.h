// Computes tasks of one layer together.
//
// Rows of many tasks go through a map of the layer as one product, which reads the map's weights
// once. A row's bits depend on no other row (kernels/projection.h), so that each task's answer is
// what it would be alone.

#ifndef ATTENTION_SERVER_CORE_LAYER_RUNNER_H_
#define ATTENTION_SERVER_CORE_LAYER_RUNNER_H_

#include <cstdint>
#include <span>

#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "server/core/attention_task.h"

namespace attention::server {

struct LayerTask {
  const AttentionTask* task = nullptr;        // with a layer
  const kernels::StopSignal* stop = nullptr;  // its own
  absl::StatusOr<AttentionResult> result;
};

// Rows of the task's embeddings that its layer's maps take, the larger number of queries and keys.
[[nodiscard]] int64_t SharedRows(const AttentionTask& task);

// Above this many rows a product is bound by arithmetic, and waiting to share it gains nothing.
inline constexpr int64_t kMostSharedRows = 256;
inline constexpr int64_t kMostSharingTasks = 32;

// Whether tasks go through the same products. False for tasks without a layer.
[[nodiscard]] bool CanShare(const AttentionTask& a, const AttentionTask& b);

// Whether the layer of the task has packed maps, which the first caller packs: without them tasks
// are computed one after the other. Never throws.
[[nodiscard]] bool HasSharedProducts(const AttentionTask& task);

// Fills in the results of at least one task, any two of which can share: as RunTask's, and never an
// exception; kResourceExhausted without memory. Each task ends when its own signal asks, the
// products once those of all do. Allocates no more than the tasks' ScratchBytes and ResultBytes
// together. Thread safety: reentrant.
void RunLayerTasks(std::span<LayerTask> tasks, kernels::Executor* executor);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_LAYER_RUNNER_H_
