// The kinds of work that the engine admits, queues and computes. All are treated alike: counted
// before any work, computed on compute threads, stopped between tiles.

#ifndef ATTENTION_SERVER_CORE_TASK_H_
#define ATTENTION_SERVER_CORE_TASK_H_

#include <cstdint>
#include <optional>
#include <variant>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "server/core/attention_task.h"
#include "server/core/operator_tasks.h"

namespace attention::server {

// Points to a task of any kind, which must outlive it. Never null.
using AnyTask = std::variant<const AttentionTask*, const RotaryTask*, const MergeTask*>;

// kInvalidArgument, naming the field and both values, if the task contradicts itself. What follows
// expects a valid task.
[[nodiscard]] absl::Status Validate(const AnyTask& task);

// Bytes of all arrays of the answer, and bytes that computing it needs beside request and answer,
// at most. Both saturate at the largest int64_t.
[[nodiscard]] int64_t ResultBytes(const AnyTask& task);
[[nodiscard]] int64_t ScratchBytes(const AnyTask& task);

// Floating point operations. A double, since it must not overflow.
[[nodiscard]] double TaskFlops(const AnyTask& task);

// Whether it is computed in float64, element by element, which has a limit of its own.
[[nodiscard]] bool RunsInFloat64(const AnyTask& task);

// What attention is over; nothing for work that is over no pairs.
struct SequenceLengths {
  int64_t query_count = 0;
  int64_t key_count = 0;
};
[[nodiscard]] std::optional<SequenceLengths> SequenceLengthsOf(const AnyTask& task);

// As RunTask of task_runner.h, which computes attention.
[[nodiscard]] absl::StatusOr<AttentionResult> RunTask(const AnyTask& task,
                                                      const kernels::Execution& execution);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_TASK_H_
