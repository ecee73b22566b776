// What Validate says of the numbers that change scores and weights.

#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/kernels/rejection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::ScoreKind;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Of four query heads.
ProblemRecipe ScoresRecipe() {
  ProblemRecipe recipe = FullRecipe();
  recipe.options.softcap = 3.0;
  recipe.sinks = recipe.temperatures = recipe.head_factors = recipe.alibi = true;
  recipe.bucketed_bias = BucketedBiasRecipe{.bucket_count = 8, .maximum_distance = 20};
  recipe.rotary = kernels::RotaryEmbedding{};
  return recipe;
}

TEST(CheckScoresTest, RejectsNumbersOfHeadsThatAreNone) {
  static const std::vector<double> three = {1.0, 1.0, 1.0};
  static const std::vector<double> nan = {1.0, kNaN, 1.0, 1.0};
  static const std::vector<double> infinite = {1.0, 1.0, kInfinity, 1.0};
  static const std::vector<double> zero = {1.0, 1.0, 1.0, 0.0};
  static const std::vector<double> negative = {-0.5, 1.0, 1.0, 1.0};
  const Rejection rejections[] = {
      {"few sinks", [](Call& c) { c.problem.sinks = three; }, {"sinks", "3 numbers", "4"}},
      {"NaN sink", [](Call& c) { c.problem.sinks = nan; }, {"sinks[1]", "NaN", "a number"}},
      {"few temperatures",
       [](Call& c) { c.problem.temperatures = three; },
       {"temperatures", "3 numbers", "4 as query.extents[1]"}},
      {"temperature 0",
       [](Call& c) { c.problem.temperatures = zero; },
       {"temperatures[3]", "got 0", "> 0"}},
      {"negative temperature",
       [](Call& c) { c.problem.temperatures = negative; },
       {"temperatures[0]", "got -0.5", "> 0"}},
      {"infinite temperature",
       [](Call& c) { c.problem.temperatures = infinite; },
       {"temperatures[2]", "infinity", "finite"}},
      {"few factors",
       [](Call& c) { c.problem.head_factors = three; },
       {"head_factors", "3 numbers", "4"}},
      {"NaN factor",
       [](Call& c) { c.problem.head_factors = nan; },
       {"head_factors[1]", "NaN", "finite"}},
      {"few slopes",
       [](Call& c) { c.problem.alibi.slopes = three; },
       {"alibi.slopes", "3 numbers", "4"}},
      {"infinite slope",
       [](Call& c) { c.problem.alibi.slopes = infinite; },
       {"alibi.slopes[2]", "infinity", "finite"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(ScoresRecipe(), rejection);
}

TEST(CheckScoresTest, RejectsBadSoftcaps) {
  const Rejection rejections[] = {
      {"softcap 0", [](Call& c) { c.options.softcap = 0.0; }, {"softcap", "got 0", "> 0"}},
      {"negative softcap", [](Call& c) { c.options.softcap = -1.0; }, {"softcap", "-1", "> 0"}},
      {"NaN softcap", [](Call& c) { c.options.softcap = kNaN; }, {"softcap", "NaN", "finite"}},
      {"infinite softcap",
       [](Call& c) { c.options.softcap = kInfinity; },
       {"softcap", "infinity", "finite"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(ScoresRecipe(), rejection);
}

TEST(CheckScoresTest, RejectsBucketsThatDoNotFitTheirTable) {
  static std::vector<double> infinite(32, 0.0);
  infinite[5] = -kInfinity;
  const Rejection rejections[] = {
      {"odd count",
       [](Call& c) { c.problem.bucketed_bias.bucket_count = 7; },
       {"bucketed_bias.bucket_count", "got 7", "even"}},
      {"too few for both directions",
       [](Call& c) { c.problem.bucketed_bias.bucket_count = 2; },
       {"bucketed_bias.bucket_count", "got 2", ">= 4", "bidirectional"}},
      {"none",
       [](Call& c) {
         c.problem.bucketed_bias.bidirectional = false;
         c.problem.bucketed_bias.bucket_count = 0;
       },
       {"bucketed_bias.bucket_count", "got 0", ">= 2"}},
      {"table",
       [](Call& c) { c.problem.bucketed_bias.bucket_count = 10; },
       {"bucketed_bias.table", "32 numbers", "10 * 4"}},
      {"a product that wraps",
       [](Call& c) { c.problem.bucketed_bias.bucket_count = (int64_t{1} << 62) + 8; },
       {"bucketed_bias.table", "32 numbers"}},
      {"distance",
       [](Call& c) { c.problem.bucketed_bias.maximum_distance = 2; },
       {"bucketed_bias.maximum_distance", "got 2", "> 2"}},
      {"infinite entry",
       [](Call& c) { c.problem.bucketed_bias.table = infinite; },
       {"bucketed_bias.table[5]", "-infinity", "finite"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(ScoresRecipe(), rejection);
}

TEST(CheckScoresTest, RejectsARotaryEmbeddingThatDoesNotFitTheKeys) {
  const Rejection rejections[] = {
      {"odd width", [](Call& c) { c.problem.rotary->width = 3; }, {"rotary", "3", "even"}},
      {"great width", [](Call& c) { c.problem.rotary->width = 8; }, {"rotary", "8", "6"}},
      {"base", [](Call& c) { c.problem.rotary->base = 0.0; }, {"rotary", "base", "> 0"}},
      {"position scale",
       [](Call& c) { c.problem.rotary->position_scale = kNaN; },
       {"rotary", "position_scale", "finite"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(ScoresRecipe(), rejection);
}

TEST(CheckScoresTest, DoesNotOfferARotaryEmbeddingOfAnotherScore) {
  for (const ScoreKind score : {ScoreKind::kGeneral, ScoreKind::kAdditive}) {
    ProblemRecipe recipe = ScoresRecipe();
    recipe.options.score = score;
    recipe.rotary.reset();
    ExpectRejected(recipe, {"rotary",
                            [](Call& c) { c.problem.rotary = kernels::RotaryEmbedding{}; },
                            {"rotary", "score"},
                            absl::StatusCode::kUnimplemented});
  }
}

TEST(CheckScoresTest, AcceptsInfiniteSinksAndHeadsOfFactorZero) {
  TestProblem problem(ScoresRecipe());
  TestOutputs outputs(problem.recipe);
  problem.sinks = {-kInfinity, kInfinity, 0.0, 1.0};
  problem.head_factors = {0.0, -1.0, 1e300, 1.0};
  EXPECT_THAT(Validate(problem.View(), problem.recipe.options, outputs.View()), IsOk());
}

}  // namespace
}  // namespace attention::test
