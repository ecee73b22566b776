// The contract of kernels/README.md, "Numerics": on all ranges the error against float64 is at most
// twice that of a straightforward computation in the same precision on the same inputs. Measured
// over whole results, as Frobenius norms, so that no slack for single elements is needed but two
// roundings of the result: those of a reciprocal and of its product, where the straightforward
// computation divides. For every implementation, in the paths of many and of few queries.

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/reference/reference_attention.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/naive_attention.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;
using kernels::ReferenceResult;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Six products of BF16 parts promise what f32 promises.
enum class Numbers { kF32, kSplitF32, kF16, kBF16 };

// Of one rounding of a result, and what may be lost where numbers are too small for that: matrix
// units take denormals for zeros.
struct Rounding {
  double relative;
  double underflow;
};

Rounding RoundingOf(DataType type) {
  if (type == DataType::kF16) return {0x1p-11, 0x1p-24};
  if (type == DataType::kBF16) return {0x1p-9, 0x1p-126};
  return {0x1p-24, 0x1p-126};
}

// Norms over the finite elements of `want`.
struct Norms {
  double of_want = 0.0;
  double of_difference = 0.0;
  double count = 0.0;
};

Norms NormsOf(const std::vector<double>& got, const std::vector<double>& want) {
  Norms norms;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(want[i])) continue;
    norms.of_want += want[i] * want[i];
    norms.of_difference += (got[i] - want[i]) * (got[i] - want[i]);
    norms.count += 1.0;
  }
  norms.of_want = std::sqrt(norms.of_want);
  norms.of_difference = std::sqrt(norms.of_difference);
  return norms;
}

struct Compared {
  const char* name;
  const TestTensor& got;
  const std::vector<double>& want;
  const std::vector<double>& naive;
  Rounding rounding;
};

void ExpectAtMostTwiceTheNaiveError(const Compared& result) {
  const std::vector<double> got = result.got.Values();
  ASSERT_EQ(got.size(), result.want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    if (std::isfinite(result.want[i])) continue;
    ASSERT_TRUE(std::isnan(result.want[i]) ? std::isnan(got[i]) : got[i] == result.want[i])
        << result.name << " " << i << ": got " << got[i] << ", want " << result.want[i];
  }
  const Norms norms = NormsOf(got, result.want);
  const double naive = NormsOf(result.naive, result.want).of_difference;
  EXPECT_LE(norms.of_difference, 2.0 * naive + 2.0 * result.rounding.relative * norms.of_want +
                                     result.rounding.underflow * std::sqrt(norms.count))
      << result.name << ": the naive error is " << naive << ", the norm " << norms.of_want;
}

// Also where what is wanted is not finite: that must be got exactly.
void ExpectTheContract(const TestProblem& problem) {
  SCOPED_TRACE(problem.recipe);
  const TestOutputs got = MustAttend(problem);
  if (kSanitized) return;  // Sanitizers look at the call alone; the rest would take minutes.
  const kernels::AttentionProblem view = problem.View();
  const ReferenceResult want = kernels::ReferenceAttention(view, problem.recipe.options);
  const ReferenceResult naive = NaiveAttention(view, problem.recipe.options);
  const Rounding rounding = RoundingOf(problem.recipe.type);
  const Rounding statistic = RoundingOf(DataType::kF32);  // whatever the type of the operands
  ExpectAtMostTwiceTheNaiveError({"output", got.output, want.output, naive.output, rounding});
  if (got.weights.present()) {
    ExpectAtMostTwiceTheNaiveError({"weights", got.weights, want.weights, naive.weights, rounding});
  }
  ExpectAtMostTwiceTheNaiveError(
      {"log_sum_exp", got.log_sum_exp, want.log_sum_exp, naive.log_sum_exp, statistic});
  ExpectAtMostTwiceTheNaiveError({"entropy", got.entropy, want.entropy, naive.entropy, statistic});
  ExpectAtMostTwiceTheNaiveError(
      {"maximum_weight", got.maximum_weight, want.maximum_weight, naive.maximum_weight, statistic});
  ExpectAtMostTwiceTheNaiveError(
      {"key_mass", got.key_mass, want.key_mass, naive.key_mass, statistic});
}

class NumericsTest : public testing::TestWithParam<Numbers> {
 protected:
  static DataType Type() {
    constexpr DataType kTypes[] = {DataType::kF32, DataType::kF32, DataType::kF16, DataType::kBF16};
    return kTypes[static_cast<int>(GetParam())];
  }

  static ProblemRecipe Recipe(int64_t query_count) {
    ProblemRecipe recipe;
    recipe.batch = query_count == 1 ? 16 : 2;  // enough rows for errors to be comparable
    recipe.query_head_count = 4;
    recipe.key_value_head_count = 2;
    recipe.query_count = query_count;
    recipe.key_count = 301;
    recipe.key_width = 64;
    recipe.value_width = 40;
    recipe.type = Type();
    if (GetParam() == Numbers::kSplitF32) recipe.options.precision = Precision::kBF16X6;
    recipe.weights = query_count > 1;
    recipe.statistics = StatisticsRecipe::All(4);
    return recipe;
  }
};

constexpr int64_t kQueryCounts[] = {67, 1};

TEST_P(NumericsTest, NormalNumbers) {
  for (const int64_t query_count : kQueryCounts)
    ExpectTheContract(TestProblem(Recipe(query_count)));
}

// One product of each score is +-80,000, the scale 1/8: the others still decide the weights.
TEST_P(NumericsTest, ScoresOfTenThousandEitherWay) {
  for (const int64_t query_count : kQueryCounts) {
    TestProblem problem(Recipe(query_count));
    constexpr int64_t kColumn = 32;
    for (int64_t batch = 0; batch < problem.recipe.batch; ++batch) {
      for (int64_t head = 0; head < 4; ++head) {
        for (int64_t i = 0; i < query_count; ++i)
          problem.query.Set(batch, head, i, kColumn, (head + i) % 2 == 0 ? 200.0 : -200.0);
      }
      for (int64_t head = 0; head < 2; ++head) {
        for (int64_t j = 0; j < problem.recipe.key_count; ++j)
          problem.key.Set(batch, head, j, kColumn, 400.0);
      }
    }
    ExpectTheContract(problem);
  }
}

// Scores of +-10,000 that differ: nearly every query attends to one key, and the few of which two
// keys have nearly the same score make the error. So many queries that those are many, too.
TEST_P(NumericsTest, ScoresSpreadOverTenThousandEitherWay) {
  for (const int64_t query_count : {int64_t{1500}, int64_t{1}}) {
    ProblemRecipe recipe = Recipe(query_count);
    if (query_count == 1) recipe.batch = 3000;
    recipe.key_count = 70;
    recipe.key_width = 16;
    recipe.value_width = 8;
    recipe.options.scale = 700.0;  // of products with a standard deviation of 4
    ExpectTheContract(TestProblem(recipe));
  }
}

TEST_P(NumericsTest, ScoresThatAllLieTenThousandBelowZero) {
  for (const int64_t query_count : kQueryCounts) {
    ProblemRecipe recipe = Recipe(query_count);
    recipe.additive_mask = MaskRecipe{.hidden_share = 0.0};
    TestProblem problem(recipe);
    problem.additive_mask.Fill([] { return -1e4; });
    ExpectTheContract(problem);
  }
}

TEST_P(NumericsTest, Denormals) {
  for (const int64_t query_count : kQueryCounts) {
    ProblemRecipe recipe = Recipe(query_count);
    recipe.magnitude = Type() == DataType::kF16 ? 1e-6 : 1e-39;
    ExpectTheContract(TestProblem(recipe));
    // Great scores of denormal keys.
    recipe.options.scale = Type() == DataType::kF16 ? 1e9 : 1e30;
    TestProblem problem(recipe);
    problem.query.Fill([] { return 1e4; });
    if (GetParam() != Numbers::kBF16 && GetParam() != Numbers::kSplitF32)
      ExpectTheContract(problem);
  }
}

TEST_P(NumericsTest, NegativeZeros) {
  for (const int64_t query_count : kQueryCounts) {
    TestProblem problem(Recipe(query_count));
    problem.query.Fill([] { return -0.0; });
    ExpectTheContract(problem);
    problem.key.Fill([] { return -0.0; });
    ExpectTheContract(problem);
    problem.value.Fill([] { return -0.0; });
    ExpectTheContract(problem);
  }
}

// A score of minus infinity is attended to, with weight 0; one of plus infinity leaves no number.
TEST_P(NumericsTest, Infinities) {
  for (const int64_t query_count : kQueryCounts) {
    for (const double infinity : {-kInfinity, kInfinity}) {
      TestProblem problem(Recipe(query_count));
      problem.query.Fill([] { return 1.0; });
      for (int64_t i = 0; i < problem.recipe.key_width; ++i) problem.key.Set(0, 1, 40, i, infinity);
      ExpectTheContract(problem);
      TestProblem in_values(Recipe(query_count));
      in_values.value.Set(1, 0, 77, 3, infinity);
      ExpectTheContract(in_values);
    }
  }
}

TEST_P(NumericsTest, RowsOfEqualScores) {
  for (const int64_t query_count : kQueryCounts) {
    TestProblem problem(Recipe(query_count));
    problem.key.Fill([] { return 0.75; });
    ExpectTheContract(problem);
  }
}

TEST_P(NumericsTest, OneHugeKey) {
  for (const int64_t query_count : kQueryCounts) {
    for (const double factor : {1e3, -1e3, 3.0}) {
      TestProblem problem(Recipe(query_count));
      for (int64_t batch = 0; batch < problem.recipe.batch; ++batch) {
        for (const int64_t head : {0, 1}) {
          for (int64_t i = 0; i < problem.recipe.key_width; ++i)
            problem.key.Set(batch, head, 222, i, factor * problem.key.At(batch, head, 222, i));
        }
      }
      ExpectTheContract(problem);
    }
  }
}

TEST_P(NumericsTest, AHundredThousandKeys) {
  for (const int64_t query_count : {17, 1}) {
    ProblemRecipe recipe = Recipe(query_count);
    recipe.batch = recipe.query_head_count = recipe.key_value_head_count = 1;
    recipe.key_count = 100'000;
    recipe.key_width = 16;
    recipe.value_width = 4;
    recipe.weights = false;
    ExpectTheContract(TestProblem(recipe));
  }
}

TEST_P(NumericsTest, BiasesThatReachFar) {
  for (const int64_t query_count : kQueryCounts) {
    ProblemRecipe recipe = Recipe(query_count);
    recipe.query_offset = 5000;
    recipe.alibi = true;
    recipe.sinks = true;
    ExpectTheContract(TestProblem(recipe));
  }
}

TEST_P(NumericsTest, SoftcapsBelowAndAboveTheScores) {
  for (const int64_t query_count : kQueryCounts) {
    for (const double softcap : {1e-3, 0.5, 20.0, 1e4}) {
      ProblemRecipe recipe = Recipe(query_count);
      recipe.options.softcap = softcap;
      recipe.options.scale = 1.0;
      ExpectTheContract(TestProblem(recipe));
    }
  }
}

// An infinite sink takes all, one of minus infinity is none.
TEST_P(NumericsTest, SinksFarFromTheScores) {
  for (const int64_t query_count : kQueryCounts) {
    ProblemRecipe recipe = Recipe(query_count);
    recipe.sinks = true;
    recipe.key_lengths = true;
    TestProblem problem(recipe);
    problem.key_lengths.assign(static_cast<size_t>(recipe.batch), 301);
    problem.key_lengths[0] = 0;
    problem.sinks = {-kInfinity, kInfinity, 1e4, -1e4};
    ExpectTheContract(problem);
  }
}

TEST_P(NumericsTest, TemperaturesThatSharpenAndFlatten) {
  for (const int64_t query_count : kQueryCounts) {
    ProblemRecipe recipe = Recipe(query_count);
    recipe.temperatures = true;
    TestProblem problem(recipe);
    problem.temperatures = {1e-2, 0.3, 30.0, 1e6};
    ExpectTheContract(problem);
  }
}

// On N(0, 1), whatever the shape.
TEST_P(NumericsTest, RelativeErrorsOnNormalNumbers) {
  constexpr double kBounds[] = {3e-6, 3e-6, 1e-3, 3e-3};
  for (const int64_t query_count : kQueryCounts) {
    for (const int64_t key_count : {1, 64, 301, 2000}) {
      ProblemRecipe recipe = Recipe(query_count);
      recipe.key_count = key_count;
      const TestProblem problem(recipe);
      const std::vector<double> want =
          kernels::ReferenceAttention(problem.View(), recipe.options).output;
      const Norms norms = NormsOf(MustAttend(problem).output.Values(), want);
      EXPECT_LE(norms.of_difference / norms.of_want, kBounds[static_cast<int>(GetParam())])
          << recipe;
    }
  }
}

std::string NameOf(const testing::TestParamInfo<Numbers>& numbers) {
  constexpr const char* kNames[] = {"F32", "SplitF32", "F16", "BF16"};
  return kNames[static_cast<int>(numbers.param)];
}

INSTANTIATE_TEST_SUITE_P(Types, NumericsTest,
                         testing::Values(Numbers::kF32, Numbers::kSplitF32, Numbers::kF16,
                                         Numbers::kBF16),
                         NameOf);

}  // namespace
}  // namespace attention::test
