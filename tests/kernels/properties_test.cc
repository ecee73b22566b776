// What holds for attention by its nature, for every implementation.

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "gtest/gtest.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/matches_reference.h"
#include "tests/support/random.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Several tiles each way, with rests.
ProblemRecipe LargeRecipe(DataType type) {
  ProblemRecipe recipe;
  recipe.batch = 2;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = 150;
  recipe.key_count = 601;
  recipe.key_width = 33;
  recipe.value_width = 40;
  recipe.type = type;
  return recipe;
}

double NextUp(DataType type, double value) {
  const double unit = type == DataType::kBF16 ? 0x1p-7 : type == DataType::kF16 ? 0x1p-10 : 0x1p-22;
  return value + std::abs(value) * unit;
}

// Copies row `from` of `source` over row `to` of `target`, in all batch entries and heads.
void CopyRow(const TestTensor& source, int64_t from, int64_t to, TestTensor& target) {
  for (int64_t batch = 0; batch < source.extents()[0]; ++batch) {
    for (int64_t head = 0; head < source.extents()[1]; ++head) {
      for (int64_t i = 0; i < source.extents()[3]; ++i)
        target.Set(batch, head, to, i, source.At(batch, head, from, i));
    }
  }
}

void FillRow(int64_t batch, int64_t row, double value, TestTensor& tensor) {
  for (int64_t head = 0; head < tensor.extents()[1]; ++head) {
    for (int64_t i = 0; i < tensor.extents()[3]; ++i) tensor.Set(batch, head, row, i, value);
  }
}

// Six products of BF16 parts promise what f32 promises.
enum class Numbers { kF32, kSplitF32, kF16, kBF16, kF64 };

class PropertiesTest : public testing::TestWithParam<Numbers> {
 protected:
  static DataType Type() {
    switch (GetParam()) {
      case Numbers::kF16:
        return DataType::kF16;
      case Numbers::kBF16:
        return DataType::kBF16;
      case Numbers::kF64:
        return DataType::kF64;
      default:
        return DataType::kF32;
    }
  }

  static ProblemRecipe Large() {
    ProblemRecipe recipe = LargeRecipe(Type());
    if (GetParam() == Numbers::kSplitF32) recipe.options.precision = Precision::kBF16X6;
    return recipe;
  }
};

TEST_P(PropertiesTest, PermutingKeysWithTheirValuesChangesOnlyRoundings) {
  const TestProblem problem(Large());
  TestProblem permuted = problem;
  std::vector<int64_t> order(static_cast<size_t>(problem.recipe.key_count));
  std::iota(order.begin(), order.end(), 0);
  Random random(7);
  for (size_t i = order.size() - 1; i > 0; --i) {
    std::swap(order[i], order[static_cast<size_t>(random.Index(static_cast<int64_t>(i) + 1))]);
  }
  for (size_t j = 0; j < order.size(); ++j) {
    CopyRow(problem.key, order[j], static_cast<int64_t>(j), permuted.key);
    CopyRow(problem.value, order[j], static_cast<int64_t>(j), permuted.value);
  }
  // The oracle of the problem as it was judges the answer to the permuted one.
  EXPECT_TRUE(MatchesReference(problem, MustAttend(permuted)));
}

TEST_P(PropertiesTest, ConstantValuesGiveTheConstant) {
  TestProblem problem(Large());
  const auto key_count = static_cast<double>(problem.recipe.key_count);
  problem.value.Fill([] { return 1.25; });
  const double slack = NextUp(Type(), 1.25) - 1.25;
  const double accumulation = 1.25 * std::sqrt(key_count) * 0x1p-23;
  for (const double output : MustAttend(problem).output.Values()) {
    ASSERT_NEAR(output, 1.25, std::max(slack, accumulation));
  }
}

TEST_P(PropertiesTest, OutputsStayBetweenTheSmallestAndTheLargestValue) {
  const TestProblem problem(Large());
  const TestOutputs outputs = MustAttend(problem);
  for (int64_t batch = 0; batch < 2; ++batch) {
    for (int64_t head = 0; head < 4; ++head) {
      for (int64_t d = 0; d < problem.recipe.value_width; ++d) {
        double smallest = kInfinity;
        double largest = -kInfinity;
        for (int64_t j = 0; j < problem.recipe.key_count; ++j) {
          const double value = problem.value.At(batch, head / 2, j, d);
          smallest = std::min(smallest, value);
          largest = std::max(largest, value);
        }
        for (int64_t i = 0; i < problem.recipe.query_count; ++i) {
          const double output = outputs.output.At(batch, head, i, d);
          ASSERT_GE(output, smallest - (NextUp(Type(), std::abs(smallest)) - std::abs(smallest)));
          ASSERT_LE(output, NextUp(Type(), largest));
        }
      }
    }
  }
}

// What comes after the end of a causal query, even much of it, does not reach it.
TEST_P(PropertiesTest, LaterKeysDoNotChangeTheBitsOfCausalRows) {
  ProblemRecipe recipe = Large();
  recipe.query_count = recipe.key_count = 300;
  recipe.causal_offset = 0;
  const TestProblem problem(recipe);
  TestProblem changed = problem;
  constexpr int64_t kPrefix = 131;
  Random random(11);
  for (TestTensor* tensor : {&changed.key, &changed.value}) {
    for (int64_t batch = 0; batch < 2; ++batch) {
      for (int64_t j = kPrefix; j < 300; ++j) FillRow(batch, j, 3.0 + random.Normal(), *tensor);
    }
  }
  const TestOutputs before = MustAttend(problem);
  const TestOutputs after = MustAttend(changed);
  for (int64_t batch = 0; batch < 2; ++batch) {
    for (int64_t head = 0; head < 4; ++head) {
      for (int64_t i = 0; i < kPrefix; ++i) {
        ASSERT_EQ(before.output.RowBytes(batch, head, i), after.output.RowBytes(batch, head, i))
            << "row " << i;
      }
      ASSERT_NE(before.output.RowBytes(batch, head, kPrefix),
                after.output.RowBytes(batch, head, kPrefix));
    }
  }
}

TEST_P(PropertiesTest, OnlyTheColumnOfAnInfiniteValueBecomesInfinite) {
  TestProblem problem(Large());
  problem.value.Set(0, 0, 17, 5, kInfinity);
  const TestOutputs outputs = MustAttend(problem);
  for (int64_t i = 0; i < problem.recipe.query_count; ++i) {
    ASSERT_EQ(outputs.output.At(0, 0, i, 5), kInfinity);
    ASSERT_TRUE(std::isfinite(outputs.output.At(0, 0, i, 4)));
    ASSERT_TRUE(std::isfinite(outputs.output.At(0, 3, i, 5)));
  }
}

TEST_P(PropertiesTest, EqualKeysGetEqualWeights) {
  ProblemRecipe recipe = Large();
  recipe.weights = true;
  TestProblem problem(recipe);
  problem.key.Fill([] { return 0.75; });
  const TestOutputs outputs = MustAttend(problem);
  EXPECT_TRUE(MatchesReference(problem, outputs));
  for (int64_t i = 0; i < recipe.query_count; ++i) {
    for (int64_t j = 1; j < recipe.key_count; ++j) {
      ASSERT_EQ(outputs.weights.At(1, 2, i, j), outputs.weights.At(1, 2, i, 0)) << i << " " << j;
    }
  }
}

TEST_P(PropertiesTest, OneHugeKeyTakesAllTheWeight) {
  ProblemRecipe recipe = Large();
  recipe.weights = true;
  TestProblem problem(recipe);
  problem.query.Fill([] { return 1.0; });
  FillRow(0, 222, 1000.0, problem.key);
  const TestOutputs outputs = MustAttend(problem);
  EXPECT_TRUE(MatchesReference(problem, outputs));
  EXPECT_EQ(outputs.weights.At(0, 0, 3, 222), 1.0);
  EXPECT_EQ(outputs.output.RowBytes(0, 0, 3), problem.value.RowBytes(0, 0, 222));
}

// The exponentials of such scores overflow any type; their differences do not.
TEST_P(PropertiesTest, ScoresOfTenThousandEitherWayAreFine) {
  for (const double scale : {1e4, -1e4}) {
    ProblemRecipe recipe = Large();
    recipe.weights = true;
    recipe.options.scale = scale;
    TestProblem problem(recipe);
    problem.query.Fill([] { return 1.0; });
    for (int64_t j = 0; j < recipe.key_count; ++j) {
      for (const int64_t batch : {0, 1}) {
        FillRow(batch, j, 0.0, problem.key);
        for (const int64_t head : {0, 1})
          problem.key.Set(batch, head, j, 0, j % 2 == 0 ? 1.0 : -1.0);
      }
    }
    const TestOutputs outputs = MustAttend(problem);
    EXPECT_TRUE(MatchesReference(problem, outputs)) << scale;
    EXPECT_EQ(outputs.weights.At(0, 0, 0, scale > 0 ? 1 : 0), 0.0);
  }
}

TEST_P(PropertiesTest, ScoresThatAllLieFarBelowZeroAreNormalizedAllTheSame) {
  ProblemRecipe recipe = Large();
  recipe.additive_mask = MaskRecipe{.hidden_share = 0.0};
  TestProblem problem(recipe);
  problem.additive_mask.Fill([] { return -1e4; });
  EXPECT_TRUE(MatchesReference(problem, MustAttend(problem)));
}

// Many models mask with the lowest finite number. A row that has nothing else attends to all its
// keys alike.
TEST_P(PropertiesTest, ALowestFiniteAdditiveMaskDoesNotHide) {
  for (const DataType mask_type : {DataType::kF32, DataType::kF64}) {
    ProblemRecipe recipe = Large();
    recipe.weights = true;
    recipe.additive_mask = MaskRecipe{.type = mask_type, .hidden_share = 0.0};
    TestProblem problem(recipe);
    const double lowest = mask_type == DataType::kF32
                              ? static_cast<double>(std::numeric_limits<float>::lowest())
                              : std::numeric_limits<double>::lowest();
    problem.additive_mask.Fill([&] { return lowest; });
    for (int64_t j = 0; j < 100; ++j) problem.additive_mask.Set(0, 1, 2, j, 0.0);
    const TestOutputs outputs = MustAttend(problem);
    EXPECT_EQ(outputs.weights.At(0, 1, 2, 150), 0.0);
    const double uniform = 1.0 / static_cast<double>(recipe.key_count);
    for (int64_t j = 0; j < recipe.key_count; ++j) {
      ASSERT_NEAR(outputs.weights.At(0, 0, 0, j), uniform, NextUp(Type(), uniform) - uniform)
          << kernels::Name(mask_type);
    }
  }
}

TEST_P(PropertiesTest, DenormalOperandsAreFine) {
  ProblemRecipe recipe = Large();
  recipe.magnitude = Type() == DataType::kF16 ? 1e-6 : 1e-39;
  const TestProblem problem(recipe);
  EXPECT_TRUE(MatchesReference(problem, MustAttend(problem)));
}

TEST_P(PropertiesTest, RowsThatSeeNothingGiveZeros) {
  ProblemRecipe recipe = Large();
  recipe.weights = true;
  recipe.boolean_mask = MaskRecipe{};
  TestProblem problem(recipe);
  problem.query.Fill([] { return kNaN; });
  problem.boolean_mask.Fill([] { return 0.0; });
  const TestOutputs outputs = MustAttend(problem);
  for (const double output : outputs.output.Values()) ASSERT_EQ(output, 0.0);
  for (const double weight : outputs.weights.Values()) ASSERT_EQ(weight, 0.0);
}

std::string NameOf(const testing::TestParamInfo<Numbers>& numbers) {
  constexpr const char* kNames[] = {"F32", "SplitF32", "F16", "BF16", "F64"};
  return kNames[static_cast<int>(numbers.param)];
}

INSTANTIATE_TEST_SUITE_P(Types, PropertiesTest,
                         testing::Values(Numbers::kF32, Numbers::kSplitF32, Numbers::kF16,
                                         Numbers::kBF16, Numbers::kF64),
                         NameOf);

}  // namespace
}  // namespace attention::test
