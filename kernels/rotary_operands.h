// Attention over turned queries and keys: what problem.rotary asks for, done before any
// implementation runs.

#ifndef ATTENTION_KERNELS_ROTARY_OPERANDS_H_
#define ATTENTION_KERNELS_ROTARY_OPERANDS_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernels/attend.h"

namespace attention::kernels {

// Calls `attend` with the problem, whose queries and keys are turned if problem.rotary asks for it,
// and without problem.rotary. The turned copies are in memory that the calling thread keeps, up to
// a limit, for its next call; they are of the type of the operands. Returns what `attend` returns,
// counting the threads that turned; kCancelled if stopped. Throws std::bad_alloc.
[[nodiscard]] absl::StatusOr<AttentionReport> WithRotatedOperands(
    const AttentionProblem& problem, const Execution& execution,
    absl::FunctionRef<absl::StatusOr<AttentionReport>(const AttentionProblem&)> attend);

// Bytes of the copies and of the angles. A double, since it must not overflow.
[[nodiscard]] double RotatedBytes(const AttentionProblem& problem);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ROTARY_OPERANDS_H_
