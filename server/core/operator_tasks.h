// Work of other kinds than attention: turning rows by their positions, and joining what attention
// over parts of the keys gave.

#ifndef ATTENTION_SERVER_CORE_OPERATOR_TASKS_H_
#define ATTENTION_SERVER_CORE_OPERATOR_TASKS_H_

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "kernels/merge_states.h"
#include "kernels/rotary_embedding.h"
#include "server/core/attention_task.h"

namespace attention::server {

// What a report calls the implementation of these: none of kernels::AllImplementations, since no
// matrix products are made.
inline constexpr std::string_view kElementwise = "elementwise";

// Rows to turn by tables. Every pointer aliases memory that outlives the computation.
struct RotaryTask {
  kernels::TensorView input;  // [batch, heads, rows, width], no elements between its own
  kernels::RotaryTables tables;
  bool sends_floats = false;  // as that of AttentionTask
};

// The output lies in memory as the input does.
[[nodiscard]] absl::Status Validate(const RotaryTask& task);
[[nodiscard]] int64_t ResultBytes(const RotaryTask& task);
[[nodiscard]] int64_t SentBytes(const RotaryTask& task);
[[nodiscard]] int64_t ScratchBytes(const RotaryTask& task, int thread_count);
[[nodiscard]] double TaskFlops(const RotaryTask& task);
[[nodiscard]] absl::StatusOr<AttentionResult> RunTask(const RotaryTask& task,
                                                      const kernels::Execution& execution);

// States to join.
struct MergeTask {
  std::vector<kernels::AttentionState> states;
  bool sends_floats = false;  // as that of AttentionTask
};

// The answer holds output and log_sum_exp, both dense.
[[nodiscard]] absl::Status Validate(const MergeTask& task);
[[nodiscard]] int64_t ResultBytes(const MergeTask& task);
[[nodiscard]] int64_t SentBytes(const MergeTask& task);
[[nodiscard]] int64_t ScratchBytes(const MergeTask& task, int thread_count);
[[nodiscard]] double TaskFlops(const MergeTask& task);
[[nodiscard]] absl::StatusOr<AttentionResult> RunTask(const MergeTask& task,
                                                      const kernels::Execution& execution);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_OPERATOR_TASKS_H_
