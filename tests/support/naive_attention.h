// Attention as one would first write it, in the precision of the problem's type. Its error against
// the oracle is the yardstick for the errors of the implementations: see tolerance.h.

#ifndef ATTENTION_TESTS_SUPPORT_NAIVE_ATTENTION_H_
#define ATTENTION_TESTS_SUPPORT_NAIVE_ATTENTION_H_

#include "kernels/reference/reference_attention.h"

namespace attention::test {

// F32, F16 and BF16: every operation in float32, in the order of the formula, results rounded to
// the type. For BF16 the weights are rounded to BF16 before they multiply values, as matrix units
// want them. F64: every operation in float64.
[[nodiscard]] kernels::ReferenceResult NaiveAttention(const kernels::AttentionProblem& problem,
                                                      const kernels::AttentionOptions& options);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_NAIVE_ATTENTION_H_
