// The kinds of work that the engine admits, queues and computes. All are treated alike: counted
// before any work, computed on compute threads, stopped between tiles.

#ifndef ATTENTION_SERVER_CORE_TASK_H_
#define ATTENTION_SERVER_CORE_TASK_H_

#include <cstdint>
#include <variant>

#include "absl/functional/function_ref.h"
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

// Bytes of all arrays of the answer, as they are held until it is sent and as they are sent, and
// bytes that computing it needs beside request and answer, at most, on `thread_count` threads. All
// saturate at the largest int64_t.
[[nodiscard]] int64_t ResultBytes(const AnyTask& task);
[[nodiscard]] int64_t SentBytes(const AnyTask& task);
[[nodiscard]] int64_t ScratchBytes(const AnyTask& task, int thread_count);

// Floating point operations. A double, since it must not overflow.
[[nodiscard]] double TaskFlops(const AnyTask& task);

// The operations of what is computed in float64, pair by pair, which has a limit of its own; 0 for
// all else. Every pair of a query and a key is walked to there, hidden or not: each counts
// kFloat64FlopsPerPair more than TaskFlops says.
[[nodiscard]] double Float64Flops(const AnyTask& task);

// Measured: a hidden pair takes the time of some 40, a pair of width 1 that of some 100.
inline constexpr double kFloat64FlopsPerPair = 64;

// Calls `visit` with what attention is over: of each sequence of a ragged batch, once for any other
// batch, and not at all for work that is over no pairs.
void VisitSequenceLengths(const AnyTask& task,
                          absl::FunctionRef<void(int64_t query_count, int64_t key_count)> visit);

// As RunTask of task_runner.h, which computes attention.
[[nodiscard]] absl::StatusOr<AttentionResult> RunTask(const AnyTask& task,
                                                      const kernels::Execution& execution);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_TASK_H_
