// Attention with a rotary embedding inside the call.

#include "kernels/rotary_operands.h"

#include <cmath>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/attend.h"
#include "kernels/rotary_embedding.h"
#include "tests/support/matches_reference.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::AttentionProblem;
using kernels::DataType;
using kernels::RotaryEmbedding;

// Prefill and decoding, grouped heads, queries at and after the first key.
std::vector<ProblemRecipe> Recipes() {
  std::vector<ProblemRecipe> recipes;
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    for (const int64_t query_count : {2, 70}) {
      ProblemRecipe recipe;
      recipe.type = type;
      recipe.batch = 2;
      recipe.query_head_count = 4;
      recipe.key_value_head_count = 2;
      recipe.query_count = query_count;
      recipe.key_count = 90;
      recipe.key_width = 24;
      recipe.value_width = 16;
      recipe.causal_offset = 90 - query_count;
      recipes.push_back(recipe);
    }
  }
  return recipes;
}

TestTensor Rotated(const TestTensor& rows, const RotaryEmbedding& rotary, int64_t first) {
  TestTensor result(rows.type(), rows.extents());
  EXPECT_THAT(ApplyRotaryEmbedding(rotary, {.first = first}, rows.view(), result.mutable_view()),
              IsOk());
  return result;
}

TEST(AttendWithRotaryTest, GivesTheBitsOfAttentionOverTurnedQueriesAndKeys) {
  for (const ProblemRecipe& recipe : Recipes()) {
    for (const RotaryEmbedding& rotary :
         {RotaryEmbedding{}, RotaryEmbedding{.width = 10, .base = 100, .interleaved = true}}) {
      const TestProblem problem(recipe);
      AttentionProblem inside = problem.View();
      inside.rotary = rotary;
      TestOutputs got(recipe);
      ASSERT_THAT(Attend(inside, recipe.options, got.View()), IsOk()) << recipe;

      const TestTensor query = Rotated(problem.query, rotary, *recipe.causal_offset);
      const TestTensor key = Rotated(problem.key, rotary, 0);
      AttentionProblem outside = problem.View();
      outside.query = query.view();
      outside.key = key.view();
      TestOutputs want(recipe);
      ASSERT_THAT(Attend(outside, recipe.options, want.View()), IsOk()) << recipe;
      EXPECT_TRUE(got.SameBitsAs(want)) << recipe;
      EXPECT_TRUE(got.GuardsIntact());

      TestOutputs plain(recipe);
      ASSERT_THAT(Attend(problem.View(), recipe.options, plain.View()), IsOk()) << recipe;
      EXPECT_FALSE(got.SameBitsAs(plain)) << recipe;
    }
  }
}

TEST(AttendWithRotaryTest, AgreesWithTheOracle) {
  for (ProblemRecipe recipe : Recipes()) {
    recipe.causal_offset.reset();
    recipe.query_offset = 25;
    recipe.query_offsets = true;
    recipe.key_lengths = true;
    recipe.layout = Layout::kSequenceFirst;
    recipe.statistics = StatisticsRecipe::All(3);
    for (const RotaryEmbedding& rotary :
         {RotaryEmbedding{}, RotaryEmbedding{.interleaved = true},
          RotaryEmbedding{.width = 10, .base = 50, .position_scale = 0.25}}) {
      recipe.rotary = rotary;
      const TestProblem problem(recipe);
      EXPECT_TRUE(MatchesReference(problem, MustAttend(problem))) << recipe;
    }
  }
}

// A turn changes no length, and a score depends on the distance alone: shifting queries and keys
// together changes nothing but roundings.
TEST(AttendWithRotaryTest, DependsOnDistancesAlone) {
  ProblemRecipe recipe = Recipes()[7];  // F64
  recipe.causal_offset.reset();
  TestProblem problem(recipe);
  const RotaryEmbedding rotary = {.base = 100};
  const TestTensor key_shifted = Rotated(problem.key, rotary, 1000);
  const TestTensor query_shifted = Rotated(problem.query, rotary, 1010);
  AttentionProblem shifted = problem.View();
  shifted.query = query_shifted.view();
  shifted.key = key_shifted.view();
  TestOutputs want(recipe);
  ASSERT_THAT(Attend(shifted, recipe.options, want.View()), IsOk());
  AttentionProblem inside = problem.View();
  inside.rotary = rotary;
  inside.query_offset = 10;
  TestOutputs got(recipe);
  ASSERT_THAT(Attend(inside, recipe.options, got.View()), IsOk());
  const std::vector<double> want_values = want.output.Values();
  const std::vector<double> got_values = got.output.Values();
  for (size_t i = 0; i < want_values.size(); ++i) {
    EXPECT_NEAR(got_values[i], want_values[i], 0x1p-40);  // angles of 1010 are off by 2^-49
  }
}

TEST(AttendWithRotaryTest, GivesTheSameBitsOnAnyNumberOfThreads) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    AttentionProblem view = problem.View();
    view.rotary = RotaryEmbedding{};
    TestOutputs alone(recipe);
    ASSERT_THAT(Attend(view, recipe.options, alone.View()), IsOk());
    ThreadExecutor executor(3);
    TestOutputs together(recipe);
    ASSERT_THAT(Attend(view, recipe.options, together.View(), {.executor = &executor}), IsOk());
    EXPECT_TRUE(alone.SameBitsAs(together)) << recipe;
  }
}

TEST(AttendWithRotaryTest, StopsWhileItTurns) {
  ProblemRecipe recipe = Recipes()[1];
  const TestProblem problem(recipe);
  AttentionProblem view = problem.View();
  view.rotary = RotaryEmbedding{};
  TestOutputs outputs(recipe);
  const StopAfter stop(1);
  EXPECT_THAT(Attend(view, recipe.options, outputs.View(), {.stop = &stop}),
              HasCode(absl::StatusCode::kCancelled));
}

TEST(AttendWithRotaryTest, CountsTheCopiesAndTheAngles) {
  const ProblemRecipe recipe = Recipes()[0];
  const TestProblem problem(recipe);
  AttentionProblem view = problem.View();
  const double plain = EstimatePackedBytes(view, recipe.options);
  view.rotary = RotaryEmbedding{};
  EXPECT_EQ(EstimatePackedBytes(view, recipe.options) - plain,
            4.0 * (2 * 4 * 2 * 24 + 2 * 2 * 90 * 24) + 8.0 * (32 + 1) * 24);
  view.rotary->width = 8;
  EXPECT_EQ(EstimatePackedBytes(view, recipe.options) - plain,
            4.0 * (2 * 4 * 2 * 24 + 2 * 2 * 90 * 24) + 8.0 * (32 + 1) * 8);
}

TEST(AttendWithRotaryTest, RefusesWhatCannotBeTurned) {
  ProblemRecipe recipe = Recipes()[0];
  const auto attend = [](const ProblemRecipe& changed, const RotaryEmbedding& rotary) {
    const TestProblem problem(changed);
    AttentionProblem view = problem.View();
    view.rotary = rotary;
    TestOutputs outputs(changed);
    return Attend(view, changed.options, outputs.View()).status();
  };
  EXPECT_THAT(attend(recipe, {.width = 26}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "rotary.width: got 26, want even, between 0 and 24"));
  recipe.key_width = 9;
  EXPECT_THAT(attend(recipe, {}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "rotary.width: got 0 for the row width 9, want an even width"));
  recipe.key_width = 24;
  recipe.options.score = kernels::ScoreKind::kGeneral;
  EXPECT_THAT(attend(recipe, {}), HasCode(absl::StatusCode::kUnimplemented));
}

}  // namespace
}  // namespace attention::test
