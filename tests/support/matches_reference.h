// Whether what Attend computed is right.

#ifndef ATTENTION_TESTS_SUPPORT_MATCHES_REFERENCE_H_
#define ATTENTION_TESTS_SUPPORT_MATCHES_REFERENCE_H_

#include "gtest/gtest.h"
#include "kernels/reference/reference_attention.h"
#include "tests/support/test_problem.h"
#include "tests/support/tolerance.h"

namespace attention::test {

// Everything that the recipe asks for, against the oracle.
[[nodiscard]] testing::AssertionResult MatchesReference(const TestProblem& problem,
                                                        const TestOutputs& outputs);

// The same, against a reference of the caller's.
[[nodiscard]] testing::AssertionResult MatchesReference(const TestProblem& problem,
                                                        const TestOutputs& outputs,
                                                        const kernels::ReferenceResult& reference);

// Whether the top weights are the largest of the reference's in descending order, and belong to the
// keys they are said to belong to; where weights are within tolerance of each other, either key is
// right. Only keys of a weight greater than 0 appear, of equal weights the smaller key first.
[[nodiscard]] testing::AssertionResult TopWeightsMatch(const TestOutputs& outputs,
                                                       const kernels::ReferenceResult& reference,
                                                       const Tolerance& tolerance);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_MATCHES_REFERENCE_H_
