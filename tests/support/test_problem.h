// An attention problem with storage of its own, and its outputs.

#ifndef ATTENTION_TESTS_SUPPORT_TEST_PROBLEM_H_
#define ATTENTION_TESTS_SUPPORT_TEST_PROBLEM_H_

#include <vector>

#include "absl/status/statusor.h"
#include "kernels/attend.h"
#include "tests/support/problem_recipe.h"
#include "tests/support/test_tensor.h"

namespace attention::test {

// Copies are deep, so a test can change one and compare.
struct TestProblem {
  explicit TestProblem(const ProblemRecipe& recipe);

  // Valid while this lives and its tensors are not replaced.
  [[nodiscard]] kernels::AttentionProblem View() const;

  ProblemRecipe recipe;
  TestTensor query;
  TestTensor key;
  TestTensor value;
  TestTensor boolean_mask;
  TestTensor additive_mask;
  TestTensor multiplicative_mask;
  TestTensor score_first_weight;
  TestTensor score_second_weight;
  TestTensor score_vector;
  std::vector<int64_t> key_lengths;
};

struct TestOutputs {
  explicit TestOutputs(const ProblemRecipe& recipe);

  [[nodiscard]] kernels::AttentionOutputs View();
  [[nodiscard]] bool GuardsIntact() const;
  // Whether all bytes are the same, those of unused elements included.
  [[nodiscard]] bool SameBitsAs(const TestOutputs& other) const;

  TestTensor output;
  TestTensor weights;  // absent unless the recipe asks
  TestTensor scores;   // absent unless the options ask
  kernels::AttentionReport report;
};

// Calls Attend, which must succeed, must write nothing but the outputs and, if an implementation
// was forced that offers the problem, must have used it. Failures are GoogleTest's.
[[nodiscard]] TestOutputs MustAttend(const TestProblem& problem,
                                     const kernels::Execution& execution = {});

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_TEST_PROBLEM_H_
