// How far from the oracle a result may be, derived from the operands:
//
//   2 * (largest error of the naive computation in the same precision on the same head's operands)
//   + a few roundings of the terms that make up the element, as independent errors: 4 * sqrt(sum of
//   their squares)
//   + a rounding of the result.
//
// The first part follows the real growth of errors; the second covers heads where the naive
// computation happens to be exact. For F64, where naive and oracle do nearly the same, the second
// grows with the number of terms.

#ifndef ATTENTION_TESTS_SUPPORT_TOLERANCE_H_
#define ATTENTION_TESTS_SUPPORT_TOLERANCE_H_

#include <vector>

#include "gtest/gtest.h"
#include "kernels/reference/reference_attention.h"

namespace attention::test {

// For each element of the reference's results.
struct Tolerance {
  std::vector<double> output;
  std::vector<double> weights;
  std::vector<double> scores;  // raw, capped and masked

  // With the softmax over keys; otherwise empty.
  std::vector<double> softmax;
  std::vector<double> log_sum_exp;
  std::vector<double> entropy;
  std::vector<double> maximum_weight;
  std::vector<double> key_mass;
};

[[nodiscard]] Tolerance DeriveTolerance(const kernels::AttentionProblem& problem,
                                        const kernels::AttentionOptions& options,
                                        const kernels::ReferenceResult& reference);

// Whether all of `got` is within `tolerance` of `want`; infinities and NaN must be where they are
// wanted.
[[nodiscard]] testing::AssertionResult IsWithin(const std::vector<double>& got,
                                                const std::vector<double>& want,
                                                const std::vector<double>& tolerance);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_TOLERANCE_H_
