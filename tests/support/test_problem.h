// An attention problem with storage of its own, and its outputs.

#ifndef ATTENTION_TESTS_SUPPORT_TEST_PROBLEM_H_
#define ATTENTION_TESTS_SUPPORT_TEST_PROBLEM_H_

#include <span>
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
  TestTensor block_mask;
  std::vector<int64_t> query_offsets;
  std::vector<int64_t> prefix_lengths;
  std::vector<int64_t> key_lengths;
  std::vector<int32_t> query_segments;
  std::vector<int32_t> key_segments;
  std::vector<double> sinks;
  std::vector<double> temperatures;
  std::vector<double> head_factors;
  std::vector<double> alibi_slopes;
  std::vector<double> bias_table;
};

struct TestOutputs {
  explicit TestOutputs(const ProblemRecipe& recipe);

  [[nodiscard]] kernels::AttentionOutputs View();
  [[nodiscard]] bool GuardsIntact() const;
  // Whether all bytes of all results are the same, those of unused elements included.
  [[nodiscard]] bool SameBitsAs(const TestOutputs& other) const;

  TestTensor output;
  TestTensor weights;  // absent unless the recipe asks
  TestTensor scores;   // absent unless the options ask

  // Absent unless the recipe asks.
  TestTensor log_sum_exp;
  TestTensor entropy;
  TestTensor maximum_weight;
  TestTensor key_mass;
  TestTensor top_weights;

  // The keys of the top weights, in order of indices.
  [[nodiscard]] std::span<const int32_t> TopKeys() const;

  kernels::AttentionReport report;

 private:
  int64_t top_count_ = 0;
  std::vector<int32_t> top_keys_;  // with a guard at each end
};

// Calls Attend, which must succeed, must write nothing but the outputs and, if an implementation
// was forced that offers the problem, must have used it. Failures are GoogleTest's.
[[nodiscard]] TestOutputs MustAttend(const TestProblem& problem,
                                     const kernels::Execution& execution = {});

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_TEST_PROBLEM_H_
