// Scores of -infinity that no mask made. For every implementation, in the paths of many and of few
// queries.

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "kernels/reference/reference_attention.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::FullyMasked;
using kernels::Normalization;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Every `step`-th key has a score of -infinity with every query.
TestProblem ProblemOf(const ProblemRecipe& recipe, int64_t step) {
  TestProblem problem(recipe);
  for (int64_t i = 0; i < recipe.query_count; ++i) problem.query.Set(0, 0, i, 0, 1);
  for (int64_t j = 0; j < recipe.key_count; j += step) problem.key.Set(0, 0, j, 0, -kInfinity);
  return problem;
}

// The same, with those keys hidden.
TestProblem MaskedOf(ProblemRecipe recipe, int64_t step) {
  TestProblem masked = ProblemOf(recipe, step);
  recipe.boolean_mask = MaskRecipe{.broadcast = {false, false, true, false}};
  masked.boolean_mask = TestProblem(recipe).boolean_mask;
  for (int64_t j = 0; j < recipe.key_count; ++j) {
    masked.boolean_mask.Set(0, 0, 0, j, j % step == 0 ? 0 : 1);
  }
  return masked;
}

template <class Check>
void ForEachRecipe(const Check& check) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    for (const int64_t query_count : {1, 8, 12, 70}) {
      ProblemRecipe recipe;
      recipe.type = type;
      recipe.query_count = query_count;
      recipe.key_count = 300;
      recipe.statistics = StatisticsRecipe::All(3);
      recipe.weights = query_count > 8;
      SCOPED_TRACE(recipe);
      check(recipe);
    }
  }
}

TEST(InfiniteScoresTest, AreThoseOfKeysThatAreNotSeen) {
  ForEachRecipe([](ProblemRecipe recipe) {
    for (const FullyMasked policy :
         {FullyMasked::kZeros, FullyMasked::kNan, FullyMasked::kUniform}) {
      for (const bool sinks : {false, true}) {
        for (const int64_t step : {1, 3}) {
          recipe.options.fully_masked = policy;
          recipe.sinks = sinks;
          const TestProblem problem = ProblemOf(recipe, step);
          EXPECT_TRUE(MustAttend(problem).SameBitsAs(MustAttend(MaskedOf(recipe, step))))
              << static_cast<int>(policy) << " " << sinks << " " << step;
        }
      }
    }
  });
}

TEST(InfiniteScoresTest, AreThoseOfQueriesThatDoNotSeeAKey) {
  ForEachRecipe([](ProblemRecipe recipe) {
    recipe.statistics = {};
    recipe.options.normalization = Normalization::kSoftmaxOverQueries;
    for (const int64_t step : {1, 3}) {
      const TestProblem problem = ProblemOf(recipe, step);
      EXPECT_TRUE(MustAttend(problem).SameBitsAs(MustAttend(MaskedOf(recipe, step)))) << step;
    }
  });
}

// As many as there are: an infinite score and the sum that it is a part of have no quotient.
TEST(InfiniteScoresTest, UpwardsSpoilTheWeightsOfTheirKeyOverQueries) {
  for (const int64_t infinite_count : {1, 2}) {
    ProblemRecipe recipe;
    recipe.query_count = 3;
    recipe.key_count = 2;
    recipe.key_width = 1;
    recipe.weights = true;
    recipe.options.normalization = Normalization::kSoftmaxOverQueries;
    TestProblem problem(recipe);
    problem.key.Set(0, 0, 0, 0, 1);
    problem.key.Set(0, 0, 1, 0, -1);  // whose infinite scores weigh nothing
    for (int64_t i = 0; i < recipe.query_count; ++i)
      problem.query.Set(0, 0, i, 0, i > 0 && i <= infinite_count ? kInfinity : 1);
    const TestOutputs outputs = MustAttend(problem);
    for (int64_t i = 0; i < recipe.query_count; ++i) {
      EXPECT_TRUE(std::isnan(outputs.weights.At(0, 0, i, 0))) << infinite_count << " " << i;
      EXPECT_FALSE(std::isnan(outputs.weights.At(0, 0, i, 1))) << infinite_count << " " << i;
    }
  }
}

TEST(InfiniteScoresTest, AreTheSameToTheOracle) {
  for (const FullyMasked policy : {FullyMasked::kZeros, FullyMasked::kUniform}) {
    for (const int64_t step : {1, 3}) {
      ProblemRecipe recipe;
      recipe.key_count = 10;
      recipe.options.fully_masked = policy;
      const kernels::ReferenceResult want =
          kernels::ReferenceAttention(MaskedOf(recipe, step).View(), recipe.options);
      const kernels::ReferenceResult result =
          kernels::ReferenceAttention(ProblemOf(recipe, step).View(), recipe.options);
      EXPECT_EQ(result.output, want.output);
      EXPECT_EQ(result.weights, want.weights);
      EXPECT_EQ(result.log_sum_exp, want.log_sum_exp);
      EXPECT_EQ(result.entropy, want.entropy);
      EXPECT_EQ(result.maximum_weight, want.maximum_weight);
      EXPECT_EQ(result.key_mass, want.key_mass);
    }
  }
}

TEST(InfiniteScoresTest, WeighNothingBesideNaN) {
  ForEachRecipe([](const ProblemRecipe& recipe) {
    TestProblem problem = ProblemOf(recipe, 3);
    problem.key.Set(0, 0, 7, 0, std::nan(""));
    const TestOutputs outputs = MustAttend(problem);
    for (int64_t j = 0; j < recipe.key_count; ++j) {
      EXPECT_EQ(std::isnan(outputs.key_mass.At(0, 0, 0, j)), j % 3 != 0) << j;
      if (!recipe.weights) continue;
      EXPECT_EQ(std::isnan(outputs.weights.At(0, 0, 0, j)), j % 3 != 0) << j;
    }
    EXPECT_TRUE(std::isnan(outputs.output.At(0, 0, 0, 0)));
    EXPECT_TRUE(std::isnan(outputs.log_sum_exp.At(0, 0, 0, 0)));
  });
}

// A visible value meets its weight, which is 0; unless the row sees no key.
TEST(InfiniteScoresTest, HideNoValueFromARowThatSeesAnotherKey) {
  ForEachRecipe([](const ProblemRecipe& recipe) {
    for (const int64_t step : {1, 3}) {
      TestProblem problem = ProblemOf(recipe, step);
      problem.value.Set(0, 0, 3, 0, std::nan(""));
      EXPECT_EQ(std::isnan(MustAttend(problem).output.At(0, 0, 0, 0)), step != 1) << step;
    }
  });
}

}  // namespace
}  // namespace attention::test
