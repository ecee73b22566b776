// Attention over the sequences of a ragged batch.

#ifndef ATTENTION_SERVER_CORE_RAGGED_RUNNER_H_
#define ATTENTION_SERVER_CORE_RAGGED_RUNNER_H_

#include "absl/status/statusor.h"
#include "kernels/attend.h"
#include "kernels/execution.h"
#include "server/core/ragged_batch.h"

namespace attention::server {

// Computes kernels::Attend for SequenceOf each sequence of a batch that ValidateRagged accepts:
// its results have the bits that it has alone. The costliest sequences come first: those that would
// keep a thread for too long, or too long in comparison with the others, one after the other on all
// threads; the rest side by side, each on one thread.
//
// Returns what Attend returns, and kCancelled once `execution.stop` asks, which is looked at
// between sequences, too. The report is that of most queries. Allocates ScheduleBytes. Thread
// safety: reentrant.
[[nodiscard]] absl::StatusOr<kernels::AttentionReport> AttendToSequences(
    const kernels::AttentionProblem& whole, const RaggedRows& rows,
    const kernels::AttentionOptions& options, const kernels::AttentionOutputs& outputs,
    const kernels::Execution& execution);

// What AttendToSequences allocates for itself.
[[nodiscard]] int64_t ScheduleBytes(const RaggedRows& rows);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_RAGGED_RUNNER_H_
