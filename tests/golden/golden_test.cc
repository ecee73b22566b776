// Every implementation, and the oracle, against numbers that an independent program computed.

#include <algorithm>
#include <cmath>

#include "gtest/gtest.h"
#include "tests/golden/golden_case.h"
#include "tests/support/matches_reference.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::ScoresOutput;

class GoldenTest : public testing::TestWithParam<DataType> {};

TEST_P(GoldenTest, AttendGivesTheGoldenNumbers) {
  const std::vector<GoldenCase> cases = ReadGoldenCases(GetParam());
  ASSERT_GE(cases.size(), 70u);
  for (const GoldenCase& golden : cases) {
    SCOPED_TRACE(golden.name);
    for (const ScoresOutput scores :
         {ScoresOutput::kNone, ScoresOutput::kRaw, ScoresOutput::kCapped, ScoresOutput::kMasked}) {
      TestProblem problem = golden.problem;
      problem.recipe.options.scores = scores;
      if (!golden.expected.log_sum_exp.empty())
        problem.recipe.statistics = StatisticsRecipe::All(3);
      EXPECT_TRUE(MatchesReference(problem, MustAttend(problem), golden.expected));
    }
  }
}

TEST_P(GoldenTest, TheOracleGivesTheGoldenNumbers) {
  for (const GoldenCase& golden : ReadGoldenCases(GetParam())) {
    SCOPED_TRACE(golden.name);
    const kernels::AttentionProblem view = golden.problem.View();
    const kernels::AttentionOptions& options = golden.problem.recipe.options;
    const kernels::ReferenceResult oracle = kernels::ReferenceAttention(view, options);
    // Both are computed in float64, whatever the type of the operands: a few thousand roundings at
    // most.
    const auto matches = [](const std::vector<double>& got, const std::vector<double>& want) {
      std::vector<double> tolerance;
      for (const double number : want) tolerance.push_back(1e-12 * std::max(1.0, std::abs(number)));
      return IsWithin(got, want, tolerance);
    };
    EXPECT_TRUE(matches(oracle.output, golden.expected.output));
    EXPECT_TRUE(matches(oracle.weights, golden.expected.weights));
    EXPECT_TRUE(matches(oracle.raw_scores, golden.expected.raw_scores));
    EXPECT_TRUE(matches(oracle.capped_scores, golden.expected.capped_scores));
    EXPECT_TRUE(matches(oracle.masked_scores, golden.expected.masked_scores));
    if (golden.expected.log_sum_exp.empty()) continue;
    EXPECT_TRUE(matches(oracle.softmax, golden.expected.softmax));
    EXPECT_TRUE(matches(oracle.log_sum_exp, golden.expected.log_sum_exp));
    EXPECT_TRUE(matches(oracle.entropy, golden.expected.entropy));
    EXPECT_TRUE(matches(oracle.maximum_weight, golden.expected.maximum_weight));
    EXPECT_TRUE(matches(oracle.key_mass, golden.expected.key_mass));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, GoldenTest,
                         testing::Values(DataType::kF32, DataType::kF16, DataType::kBF16,
                                         DataType::kF64),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

}  // namespace
}  // namespace attention::test
