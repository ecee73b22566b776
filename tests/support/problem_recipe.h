// Descriptions of attention problems, from which tests make them.

#ifndef ATTENTION_TESTS_SUPPORT_PROBLEM_RECIPE_H_
#define ATTENTION_TESTS_SUPPORT_PROBLEM_RECIPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <ostream>

#include "kernels/attend.h"
#include "tests/support/test_tensor.h"

namespace attention::test {

struct MaskRecipe {
  std::array<bool, 4> broadcast = {false, false, false, false};  // along batch, head, query, key
  kernels::DataType type = kernels::DataType::kF32;              // ignored for a boolean mask
  double hidden_share = 0.3;  // of pairs, for the kinds that can hide
};

struct ProblemRecipe {
  int64_t batch = 1;
  int64_t query_head_count = 1;
  int64_t key_value_head_count = 1;
  int64_t query_count = 4;
  int64_t key_count = 4;
  int64_t key_width = 8;
  int64_t value_width = 8;
  int64_t hidden_width = 5;  // of the additive score
  kernels::DataType type = kernels::DataType::kF32;
  Layout layout = Layout::kDense;
  kernels::AttentionOptions options;
  std::optional<int64_t> causal_offset;
  bool key_lengths = false;  // random ones, 0 and the number of keys among them
  std::optional<MaskRecipe> boolean_mask;
  std::optional<MaskRecipe> additive_mask;
  std::optional<MaskRecipe> multiplicative_mask;
  bool weights = false;
  double magnitude = 1.0;  // of the elements of queries, keys and values
  uint64_t seed = 1;
};

// Everything that is needed to make the problem again.
std::ostream& operator<<(std::ostream& stream, const ProblemRecipe& recipe);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_PROBLEM_RECIPE_H_
