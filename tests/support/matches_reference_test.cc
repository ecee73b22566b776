// That results which are slightly wrong are refused, each kind of them alone.

#include "tests/support/matches_reference.h"

#include <string>

#include "gtest/gtest.h"
#include "kernels/unfused/unfused_float64.h"

namespace attention::test {
namespace {

using kernels::DataType;

constexpr int64_t kKeyCount = 300;

ProblemRecipe Recipe(DataType type) {
  ProblemRecipe recipe;
  recipe.query_head_count = 2;
  recipe.query_count = 33;
  recipe.key_count = kKeyCount;
  recipe.key_width = 64;
  recipe.value_width = 16;
  recipe.type = type;
  return recipe;
}

class MatchesReferenceTest : public testing::TestWithParam<DataType> {
 protected:
  // In float64, so that every error is the reference's.
  static TestOutputs Compute(const TestProblem& problem) {
    TestOutputs outputs(problem.recipe);
    EXPECT_TRUE(kernels::UnfusedFloat64()
                    .Run(problem.View(), problem.recipe.options, outputs.View(), {})
                    .ok());
    return outputs;
  }
};

TEST_P(MatchesReferenceTest, AcceptsEveryStatistic) {
  ProblemRecipe recipe = Recipe(GetParam());
  recipe.weights = true;
  recipe.statistics = StatisticsRecipe::All(7);
  const TestProblem problem(recipe);
  EXPECT_TRUE(MatchesReference(problem, Compute(problem)));
}

TEST_P(MatchesReferenceTest, RefusesEachStatisticWithoutOneKeyOfManyHundred) {
  const struct {
    const char* name;
    StatisticsRecipe asked;
  } statistics[] = {{"log_sum_exp", {.log_sum_exp = true}},
                    {"entropy", {.entropy = true}},
                    {"maximum_weight", {.maximum_weight = true}},
                    {"key_mass", {.key_mass = true}},
                    {"top_weights", {.top_count = 3}}};
  for (const auto& statistic : statistics) {
    ProblemRecipe recipe = Recipe(GetParam());
    recipe.statistics = statistic.asked;
    TestProblem problem(recipe);
    TestProblem shorter = problem;
    shorter.key_lengths = {kKeyCount - 1};
    // The output does not give it away.
    problem.value.Fill([] { return 1.0; });
    shorter.value.Fill([] { return 1.0; });
    const testing::AssertionResult result = MatchesReference(problem, Compute(shorter));
    EXPECT_FALSE(result);
    EXPECT_NE(std::string(result.message()).find(std::string("in ") + statistic.name),
              std::string::npos)
        << result.message();
  }
}

// The weights are those of the right keys, but the keys are others.
TEST_P(MatchesReferenceTest, RefusesTopWeightsOfOtherKeys) {
  ProblemRecipe recipe = Recipe(GetParam());
  recipe.statistics.top_count = 2;
  const TestProblem problem(recipe);
  TestProblem reversed = problem;
  for (int64_t j = 0; j < kKeyCount; ++j) {
    for (int64_t i = 0; i < recipe.key_width; ++i)
      reversed.key.Set(0, 0, j, i, problem.key.At(0, 0, kKeyCount - 1 - j, i));
    for (int64_t i = 0; i < recipe.value_width; ++i)
      reversed.value.Set(0, 0, j, i, problem.value.At(0, 0, kKeyCount - 1 - j, i));
  }
  const testing::AssertionResult result = MatchesReference(problem, Compute(reversed));
  EXPECT_FALSE(result);
  EXPECT_NE(std::string(result.message()).find("the key's weight"), std::string::npos)
      << result.message();
}

// Of equal weights either key is right, as long as the smaller comes first.
TEST_P(MatchesReferenceTest, AcceptsAnyOfEqualKeys) {
  ProblemRecipe recipe = Recipe(GetParam());
  recipe.statistics.top_count = 2;
  TestProblem problem(recipe);
  problem.key.Fill([] { return 0.5; });
  EXPECT_TRUE(MatchesReference(problem, Compute(problem)));
  TestProblem later = problem;
  later.boolean_mask =
      TestTensor::Mask(DataType::kBool, {1, 2, 33, kKeyCount}, {true, true, true, false});
  later.boolean_mask.Fill([] { return 1.0; });
  later.boolean_mask.Set(0, 0, 0, 0, 0.0);
  // Without the first key, the weights of the others are larger, by less than BF16 could tell but
  // more than statistics may be off.
  EXPECT_FALSE(MatchesReference(problem, Compute(later)));
}

INSTANTIATE_TEST_SUITE_P(Types, MatchesReferenceTest,
                         testing::Values(DataType::kF32, DataType::kBF16, DataType::kF64),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

}  // namespace
}  // namespace attention::test
