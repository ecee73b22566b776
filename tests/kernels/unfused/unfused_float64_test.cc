// What is particular to this implementation; attend_grid_test compares it with the oracle over
// everything.

#include "kernels/unfused/unfused_float64.h"

#include <cmath>

#include "gtest/gtest.h"
#include "tests/support/matches_reference.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Normalization;
using kernels::UnfusedFloat64;

TestOutputs MustRun(const TestProblem& problem) {
  TestOutputs outputs(problem.recipe);
  const auto report =
      UnfusedFloat64().Run(problem.View(), problem.recipe.options, outputs.View(), {});
  EXPECT_THAT(report, IsOk());
  if (report.ok()) outputs.report = *report;
  return outputs;
}

TEST(UnfusedFloat64Test, ReportsItsNameAndPrecision) {
  const TestOutputs outputs = MustRun(TestProblem(ProblemRecipe{}));
  EXPECT_EQ(outputs.report.implementation, "unfused-float64");
  EXPECT_EQ(outputs.report.precision, "f64");
  EXPECT_EQ(outputs.report.thread_count, 1);
}

TEST(UnfusedFloat64Test, OffersEveryProblemOnEveryMachine) {
  EXPECT_TRUE(UnfusedFloat64().supported_by_runtime_system());
  EXPECT_TRUE(UnfusedFloat64().Offers({}, {}));
}

// Narrow types get the float64 result rounded once, so no rounding on the way may show.
TEST(UnfusedFloat64Test, NarrowResultsAreTheFloat64ResultRoundedOnce) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    ProblemRecipe recipe;
    recipe.query_count = 20;
    recipe.key_count = 30;
    recipe.type = type;
    const TestProblem narrow(recipe);
    recipe.type = DataType::kF64;
    TestProblem wide(recipe);
    const auto copy = [](const TestTensor& source, TestTensor& target) {
      const std::vector<double> values = source.Values();
      size_t next = 0;
      target.Fill([&] { return values[next++]; });
    };
    copy(narrow.query, wide.query);
    copy(narrow.key, wide.key);
    copy(narrow.value, wide.value);
    TestTensor want(type, MustRun(wide).output.extents());
    copy(MustRun(wide).output, want);
    EXPECT_EQ(MustRun(narrow).output.storage(), want.storage()) << kernels::Name(type);
  }
}

// The running sum over queries is rescaled whenever the maximum grows: by e^5000 in one step, and
// 600 times.
TEST(UnfusedFloat64Test, SoftmaxOverQueriesFollowsAGrowingMaximum) {
  ProblemRecipe recipe;
  recipe.type = DataType::kF64;
  recipe.query_count = 600;
  recipe.key_count = 70;
  recipe.key_width = 1;
  recipe.weights = true;
  recipe.options.scale = 1.0;
  recipe.options.normalization = Normalization::kSoftmaxOverQueries;
  TestProblem problem(recipe);
  problem.key.Fill([] { return 1.0; });
  double next = -300.0;
  problem.query.Fill([&] { return next < -299.0 ? (next = -298.0, -5298.0) : next += 0.5; });
  const TestOutputs outputs = MustRun(problem);
  EXPECT_TRUE(MatchesReference(problem, outputs));
  EXPECT_NEAR(outputs.weights.At(0, 0, 599, 69), 1.0 - std::exp(-0.5), 1e-12);
}

// An empty problem must not cost what its other extents suggest.
TEST(UnfusedFloat64Test, NoQueriesCostNothingHoweverManyHeadsAndKeysThereAre) {
  kernels::AttentionProblem problem;
  problem.query = {nullptr, DataType::kF64, {1, int64_t{1} << 40, 0, 1}, {0, 0, 1, 1}};
  problem.key = problem.value = {nullptr, DataType::kF64, {1, 1, 1 << 20, 1}, {0, 0, 1, 1}};
  for (const Normalization normalization :
       {Normalization::kSoftmaxOverKeys, Normalization::kSoftmaxOverQueries}) {
    kernels::AttentionOptions options;
    options.normalization = normalization;
    EXPECT_THAT(UnfusedFloat64().Run(problem, options, {}, {}), IsOk());
  }
}

TEST(UnfusedFloat64Test, StopsWithinARowOfManyKeys) {
  ProblemRecipe recipe;
  recipe.type = DataType::kF64;
  recipe.query_count = 1;
  recipe.key_count = 10'000;
  recipe.key_width = recipe.value_width = 1;
  const TestProblem problem(recipe);
  TestOutputs outputs(recipe);
  const TestOutputs untouched = outputs;
  const StopAfter stop(50);  // there is one row; the questions are asked between its keys
  EXPECT_THAT(UnfusedFloat64().Run(problem.View(), recipe.options, outputs.View(), {.stop = &stop}),
              HasCode(absl::StatusCode::kCancelled));
  EXPECT_TRUE(outputs.SameBitsAs(untouched));
}

// How often it asks whether to stop, and a little more.
int64_t QuestionCount(const TestProblem& problem) {
  for (int64_t count = 1;; count += 5) {
    TestOutputs outputs(problem.recipe);
    const StopAfter stop(count);
    if (UnfusedFloat64()
            .Run(problem.View(), problem.recipe.options, outputs.View(), {.stop = &stop})
            .ok())
      return count;
  }
}

// The rows are done by then; what is left is the pass over keys.
TEST(UnfusedFloat64Test, StopsWhileItSumsTheMassOfKeys) {
  ProblemRecipe recipe;
  recipe.type = DataType::kF64;
  recipe.query_count = 16;
  recipe.key_count = 5000;
  recipe.key_width = recipe.value_width = 1;
  const int64_t of_rows = QuestionCount(TestProblem(recipe));
  recipe.statistics.key_mass = true;
  const TestProblem problem(recipe);
  TestOutputs outputs(recipe);
  const StopAfter stop(of_rows + 10);
  EXPECT_THAT(UnfusedFloat64().Run(problem.View(), recipe.options, outputs.View(), {.stop = &stop}),
              HasCode(absl::StatusCode::kCancelled));
  EXPECT_GT(QuestionCount(problem), of_rows + 10);
}

}  // namespace
}  // namespace attention::test
