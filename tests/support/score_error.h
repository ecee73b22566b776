// How far rounded arithmetic may take the scores of one head from their true values.

#ifndef ATTENTION_TESTS_SUPPORT_SCORE_ERROR_H_
#define ATTENTION_TESTS_SUPPORT_SCORE_ERROR_H_

#include <cstdint>
#include <vector>

#include "kernels/reference/reference_attention.h"

namespace attention::test {

// `value`, or 0 for what is not finite: that is compared exactly, and elsewhere it was hidden.
[[nodiscard]] double Finite(double value);

// The absolute values of the finite elements (batch, head, row, :).
[[nodiscard]] std::vector<double> AbsoluteRow(const kernels::TensorView& view, int64_t batch,
                                              int64_t head, int64_t row);

// Of each pair of one head, [queries, keys], as multiples of the rounding of one operation.
struct ScoreErrors {
  std::vector<double> raw;     // sums of the absolute values of the terms that make up a score
  std::vector<double> masked;  // with what is added and what divides afterwards
};

// `first_pair` is where the head's pairs begin in the reference. `stored_roundings` is what one
// rounding of an operand costs, as a multiple of the rounding of one operation: the rotary
// embedding rounds operands, and where two computations differ a little, one number may fall to the
// other side.
[[nodiscard]] ScoreErrors ComputeScoreErrors(const kernels::AttentionProblem& problem,
                                             const kernels::AttentionOptions& options,
                                             const kernels::ReferenceResult& reference,
                                             size_t first_pair, double stored_roundings);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_SCORE_ERROR_H_
