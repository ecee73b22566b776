// The parts of Validate, one for each theme of attention_problem.h. Each expects operands whose
// extents fit together, and returns the first violation: kInvalidArgument where the contract is
// broken, naming the field and both values; kUnimplemented, naming both fields, where two options
// have no meaning together.

#ifndef ATTENTION_KERNELS_PROBLEM_CHECKS_H_
#define ATTENTION_KERNELS_PROBLEM_CHECKS_H_

#include "absl/status/status.h"
#include "kernels/attend.h"

namespace attention::kernels {

// [batch, query heads, queries, keys].
[[nodiscard]] constexpr Extents ScoreExtents(const AttentionProblem& problem) {
  return {problem.query.extents[0], problem.query.extents[1], problem.query.extents[2],
          problem.key.extents[2]};
}

// Masks, positions, lengths, windows, segments and blocks.
[[nodiscard]] absl::Status CheckVisibility(const AttentionProblem& problem);

// The score with its parameters, its scale, softcap, biases and rotary embedding, and what belongs
// to single heads.
[[nodiscard]] absl::Status CheckScores(const AttentionProblem& problem,
                                       const AttentionOptions& options);

// Where results go, and which of them there are under which normalization.
[[nodiscard]] absl::Status CheckResults(const AttentionProblem& problem,
                                        const AttentionOptions& options,
                                        const AttentionOutputs& outputs);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROBLEM_CHECKS_H_
