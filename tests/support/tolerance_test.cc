// That the derived tolerance accepts what is right and refuses what is slightly wrong.

#include "tests/support/tolerance.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "tests/support/naive_attention.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::ReferenceResult;

ProblemRecipe Recipe(DataType type) {
  ProblemRecipe recipe;
  recipe.query_head_count = 2;
  recipe.query_count = 33;
  recipe.key_count = 300;
  recipe.key_width = 64;
  recipe.value_width = 16;
  recipe.type = type;
  return recipe;
}

class ToleranceTest : public testing::TestWithParam<DataType> {};

TEST_P(ToleranceTest, AcceptsTheNaiveComputation) {
  const TestProblem problem(Recipe(GetParam()));
  const kernels::AttentionOptions& options = problem.recipe.options;
  const ReferenceResult reference = kernels::ReferenceAttention(problem.View(), options);
  const ReferenceResult naive = NaiveAttention(problem.View(), options);
  const Tolerance tolerance = DeriveTolerance(problem.View(), options, reference);
  EXPECT_TRUE(IsWithin(naive.output, reference.output, tolerance.output));
  EXPECT_TRUE(IsWithin(naive.weights, reference.weights, tolerance.weights));
  EXPECT_TRUE(IsWithin(naive.raw_scores, reference.raw_scores, tolerance.scores));
}

TEST_P(ToleranceTest, RefusesAResultThatMissesOneKeyOfManyHundred) {
  TestProblem problem(Recipe(GetParam()));
  const kernels::AttentionOptions& options = problem.recipe.options;
  const ReferenceResult right = kernels::ReferenceAttention(problem.View(), options);
  problem.key_lengths = {problem.recipe.key_count - 1};
  const ReferenceResult wrong = kernels::ReferenceAttention(problem.View(), options);
  problem.key_lengths.clear();
  const Tolerance tolerance = DeriveTolerance(problem.View(), options, right);
  EXPECT_FALSE(IsWithin(wrong.output, right.output, tolerance.output));
}

TEST_P(ToleranceTest, RefusesAScaleThatIsSlightlyWrong) {
  const TestProblem problem(Recipe(GetParam()));
  const ReferenceResult right = kernels::ReferenceAttention(problem.View(), {.scale = 0.125});
  const Tolerance tolerance = DeriveTolerance(problem.View(), {.scale = 0.125}, right);
  const double factor =
      GetParam() == DataType::kF32 || GetParam() == DataType::kF64 ? 1.0001 : 1.02;
  const ReferenceResult wrong =
      kernels::ReferenceAttention(problem.View(), {.scale = 0.125 * factor});
  EXPECT_FALSE(IsWithin(wrong.output, right.output, tolerance.output));
  EXPECT_FALSE(IsWithin(wrong.raw_scores, right.raw_scores, tolerance.scores));
}

INSTANTIATE_TEST_SUITE_P(Types, ToleranceTest,
                         testing::Values(DataType::kF32, DataType::kF16, DataType::kBF16,
                                         DataType::kF64),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

TEST(IsWithinTest, InfinitiesAndNaNMustBeWhereTheyAreWanted) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double nan = std::nan("");
  EXPECT_TRUE(IsWithin({-kInfinity, nan, 1.0}, {-kInfinity, nan, 1.5}, {0.0, 0.0, 0.5}));
  EXPECT_FALSE(IsWithin({kInfinity}, {-kInfinity}, {1.0}));
  EXPECT_FALSE(IsWithin({nan}, {0.0}, {1.0}));
  EXPECT_FALSE(IsWithin({0.0}, {nan}, {1.0}));
  EXPECT_FALSE(IsWithin({1.0}, {1.6}, {0.5}));
  EXPECT_FALSE(IsWithin({1.0}, {1.0, 2.0}, {0.0, 0.0}));
}

}  // namespace
}  // namespace attention::test
