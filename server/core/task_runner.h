// Computes one task: projections, attention, output projection.

#ifndef ATTENTION_SERVER_CORE_TASK_RUNNER_H_
#define ATTENTION_SERVER_CORE_TASK_RUNNER_H_

#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "server/core/attention_task.h"

namespace attention::server {

// Expects a task that Validate accepts. Allocates ResultBytes and, until it returns, ScratchBytes,
// all large arrays of its own before any computing; throws std::bad_alloc if that fails. Returns
// what the kernels return; kCancelled once `execution.stop` asks, which is looked at before every
// stage and, within one, between tiles. The report counts the threads of all stages. Thread safety:
// reentrant.
[[nodiscard]] absl::StatusOr<AttentionResult> RunTask(const AttentionTask& task,
                                                      const kernels::Execution& execution);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_TASK_RUNNER_H_
