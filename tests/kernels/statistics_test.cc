// What holds for statistics by their nature, for every implementation, in the paths of many and of
// few queries.

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "tests/support/matches_reference.h"
#include "tests/support/test_problem.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::FullyMasked;

constexpr int64_t kKeyCount = 301;

// One path, or the other.
class StatisticsTest : public testing::TestWithParam<int64_t> {
 protected:
  static ProblemRecipe Recipe(DataType type) {
    ProblemRecipe recipe;
    recipe.batch = 2;
    recipe.query_head_count = 4;
    recipe.key_value_head_count = 2;
    recipe.query_count = GetParam();
    recipe.key_count = kKeyCount;
    recipe.key_width = 33;
    recipe.value_width = 40;
    recipe.type = type;
    recipe.causal_offset = 150;
    recipe.statistics = StatisticsRecipe::All(9);
    return recipe;
  }

  // Calls visit(batch, head, query) for every row.
  template <typename Visit>
  static void ForEachRow(const Visit& visit) {
    for (int64_t batch = 0; batch < 2; ++batch) {
      for (int64_t head = 0; head < 4; ++head) {
        for (int64_t i = 0; i < GetParam(); ++i) visit(batch, head, i);
      }
    }
  }
};

constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16};

// Rounding errors of some hundred sums of f32.
constexpr double kSlack = 1e-5;

TEST_P(StatisticsTest, WeightsAndTheSinksShareSumToOne) {
  for (const DataType type : kTypes) {
    ProblemRecipe recipe = Recipe(type);
    recipe.sinks = true;
    const TestProblem problem(recipe);
    const TestOutputs outputs = MustAttend(problem);
    for (int64_t batch = 0; batch < 2; ++batch) {
      for (int64_t head = 0; head < 4; ++head) {
        double sum = 0.0;  // of all that keys and sinks took
        for (int64_t j = 0; j < kKeyCount; ++j) sum += outputs.key_mass.At(batch, head, 0, j);
        for (int64_t i = 0; i < GetParam(); ++i) {
          sum += std::exp(problem.sinks[static_cast<size_t>(head)] -
                          outputs.log_sum_exp.At(batch, head, i, 0));
        }
        const auto rows = static_cast<double>(GetParam());
        EXPECT_NEAR(sum, rows, kSlack * rows) << recipe;
      }
    }
  }
}

TEST_P(StatisticsTest, TheLargestWeightIsTheFirstOfTheTop) {
  for (const DataType type : kTypes) {
    const TestOutputs outputs = MustAttend(TestProblem(Recipe(type)));
    ForEachRow([&](int64_t batch, int64_t head, int64_t i) {
      ASSERT_EQ(outputs.maximum_weight.At(batch, head, i, 0),
                outputs.top_weights.At(batch, head, i, 0));
    });
  }
}

// -sum of w ln w = ln(sum of e^s) - sum of w s.
TEST_P(StatisticsTest, TheEntropyIsLogSumExpWithoutTheMeanScore) {
  ProblemRecipe recipe = Recipe(DataType::kF32);
  recipe.weights = true;
  recipe.options.scores = kernels::ScoresOutput::kMasked;
  const TestOutputs outputs = MustAttend(TestProblem(recipe));
  ForEachRow([&](int64_t batch, int64_t head, int64_t i) {
    double mean = 0.0;
    for (int64_t j = 0; j < kKeyCount; ++j) {
      const double weight = outputs.weights.At(batch, head, i, j);
      if (weight > 0.0) mean += weight * outputs.scores.At(batch, head, i, j);
    }
    ASSERT_NEAR(outputs.entropy.At(batch, head, i, 0),
                outputs.log_sum_exp.At(batch, head, i, 0) - mean, kSlack);
  });
}

TEST_P(StatisticsTest, EqualKeysHaveTheLogarithmOfTheirNumberAsEntropy) {
  for (const DataType type : kTypes) {
    TestProblem problem(Recipe(type));
    problem.key.Fill([] { return 0.5; });
    const TestOutputs outputs = MustAttend(problem);
    ForEachRow([&](int64_t batch, int64_t head, int64_t i) {
      const double count = static_cast<double>(std::min<int64_t>(151 + i, kKeyCount));
      ASSERT_NEAR(outputs.entropy.At(batch, head, i, 0), std::log(count), kSlack);
      ASSERT_NEAR(outputs.maximum_weight.At(batch, head, i, 0), 1.0 / count, kSlack);
      for (int64_t rank = 0; rank < 9; ++rank) {
        const int64_t row = (batch * 4 + head) * GetParam() + i;
        ASSERT_EQ(outputs.TopKeys()[static_cast<size_t>(row * 9 + rank)], rank);
      }
    });
  }
}

// They describe the softmax, not what is made of its weights.
TEST_P(StatisticsTest, NeitherHeadFactorsNorThePolicyForHiddenRowsChangeABit) {
  for (const DataType type : kTypes) {
    ProblemRecipe recipe = Recipe(type);
    recipe.key_lengths = true;
    TestProblem problem(recipe);
    problem.key_lengths = {0, 200};
    const TestOutputs want = MustAttend(problem);
    for (const FullyMasked policy : {FullyMasked::kNan, FullyMasked::kUniform}) {
      TestProblem changed = problem;
      changed.recipe.options.fully_masked = policy;
      changed.head_factors = {0.0, -1.5, 1.0, 0.0};
      TestOutputs got = MustAttend(changed);
      EXPECT_TRUE(MatchesReference(changed, got));
      got.output = want.output;
      EXPECT_TRUE(got.SameBitsAs(want)) << changed.recipe;
    }
  }
}

TEST_P(StatisticsTest, TheirBitsDoNotDependOnThreads) {
  for (const DataType type : {DataType::kF32, DataType::kBF16, DataType::kF64}) {
    ProblemRecipe recipe = Recipe(type);
    recipe.sinks = recipe.alibi = true;
    const TestProblem problem(recipe);
    const TestOutputs want = MustAttend(problem);
    for (const int thread_count : {2, 3, 5}) {
      ThreadExecutor executor(thread_count);
      EXPECT_TRUE(MustAttend(problem, {.executor = &executor}).SameBitsAs(want))
          << thread_count << " threads, " << recipe;
    }
  }
}

// The other entries of a batch are not to be seen in them, either.
TEST_P(StatisticsTest, TheirBitsDoNotDependOnNeighbours) {
  for (const DataType type : kTypes) {
    const TestProblem problem(Recipe(type));
    TestProblem changed = problem;
    changed.query.Fill([] { return 2.0; });
    changed.key.Fill([] { return -1.0; });
    for (int64_t head = 0; head < 4; ++head) {
      for (int64_t i = 0; i < GetParam(); ++i) {
        for (int64_t c = 0; c < 33; ++c)
          changed.query.Set(1, head, i, c, problem.query.At(1, head, i, c));
      }
    }
    for (int64_t head = 0; head < 2; ++head) {
      for (int64_t j = 0; j < kKeyCount; ++j) {
        for (int64_t c = 0; c < 33; ++c)
          changed.key.Set(1, head, j, c, problem.key.At(1, head, j, c));
      }
    }
    const TestOutputs want = MustAttend(problem);
    const TestOutputs got = MustAttend(changed);
    for (int64_t head = 0; head < 4; ++head) {
      for (int64_t i = 0; i < GetParam(); ++i) {
        EXPECT_EQ(got.log_sum_exp.RowBytes(1, head, i), want.log_sum_exp.RowBytes(1, head, i));
        EXPECT_EQ(got.entropy.RowBytes(1, head, i), want.entropy.RowBytes(1, head, i));
        EXPECT_EQ(got.top_weights.RowBytes(1, head, i), want.top_weights.RowBytes(1, head, i));
      }
      EXPECT_EQ(got.key_mass.RowBytes(1, head, 0), want.key_mass.RowBytes(1, head, 0));
      EXPECT_NE(got.key_mass.RowBytes(0, head, 0), want.key_mass.RowBytes(0, head, 0));
    }
  }
}

TEST(StatisticsOfNothingTest, WithoutQueriesNoKeyHasAnyMass) {
  for (const DataType type : {DataType::kF32, DataType::kF64}) {
    ProblemRecipe recipe;
    recipe.batch = 2;
    recipe.query_count = 0;
    recipe.type = type;
    recipe.statistics = StatisticsRecipe::All(3);
    for (const double mass : MustAttend(TestProblem(recipe)).key_mass.Values())
      EXPECT_EQ(mass, 0.0);
  }
}

INSTANTIATE_TEST_SUITE_P(Queries, StatisticsTest, testing::Values(67, 1, 3));

}  // namespace
}  // namespace attention::test
