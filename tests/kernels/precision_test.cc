// What the precisions of F32 problems promise: error bounds, the report, and which numbers send a
// query to f32.

#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/implementation.h"
#include "kernels/reference/reference_attention.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::Precision;

constexpr Precision kSplits[] = {Precision::kBF16X6, Precision::kBF16X3, Precision::kBF16};

bool HasBF16Tiles() { return kernels::UsableImplementations()[0]->name() == "fused-amx"; }

ProblemRecipe Recipe(Precision precision) {
  ProblemRecipe recipe;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = 90;
  recipe.key_count = 700;
  recipe.key_width = 64;
  recipe.value_width = 64;
  recipe.options.precision = precision;
  return recipe;
}

// |got - want| / |want|, as Frobenius norms.
double RelativeError(const TestOutputs& outputs, const TestProblem& problem) {
  const std::vector<double> want =
      kernels::ReferenceAttention(problem.View(), problem.recipe.options).output;
  const std::vector<double> got = outputs.output.Values();
  double difference = 0.0;
  double norm = 0.0;
  for (size_t i = 0; i < want.size(); ++i) {
    difference += (got[i] - want[i]) * (got[i] - want[i]);
    norm += want[i] * want[i];
  }
  return std::sqrt(difference / norm);
}

TEST(PrecisionTest, RelativeErrorsOnNormalNumbersKeepTheirBounds) {
  struct Bound {
    Precision precision;
    double error;
  };
  constexpr Bound kBounds[] = {{Precision::kF32, 3e-6},
                               {Precision::kBF16X6, 3e-6},
                               {Precision::kBF16X3, 2e-5},
                               {Precision::kBF16, 5e-3}};
  for (const Bound& bound : kBounds) {
    const TestProblem problem(Recipe(bound.precision));
    EXPECT_LE(RelativeError(MustAttend(problem), problem), bound.error) << problem.recipe;
  }
}

// Were a precision not what it says, its error would betray it.
TEST(PrecisionTest, FewerProductsAreLessExact) {
  if (!HasBF16Tiles()) GTEST_SKIP() << "without BF16 tiles nothing is split";
  const auto error = [](Precision precision) {
    const TestProblem problem(Recipe(precision));
    return RelativeError(MustAttend(problem), problem);
  };
  EXPECT_GT(error(Precision::kBF16X3), 2e-6);
  EXPECT_GT(error(Precision::kBF16), 5e-4);
}

TEST(PrecisionTest, TheReportSaysWhatRan) {
  if (ForcedToFloat64()) GTEST_SKIP() << "which ignores the precision";
  for (const Precision precision :
       {Precision::kF32, Precision::kBF16X6, Precision::kBF16X3, Precision::kBF16}) {
    ProblemRecipe recipe = Recipe(precision);
    EXPECT_EQ(MustAttend(TestProblem(recipe)).report.precision,
              PrecisionThatRuns(recipe.type, precision));
    recipe.query_count = 1;
    EXPECT_EQ(MustAttend(TestProblem(recipe)).report.precision, "f32") << "decoding";
  }
}

TEST(PrecisionTest, TheFastestGradeIsOneOfTheTwo) {
  if (ForcedToFloat64()) GTEST_SKIP() << "which ignores the precision";
  const TestOutputs fastest = MustAttend(TestProblem(Recipe(Precision::kF32GradeFastest)));
  const Precision ran =
      fastest.report.precision == "bf16_x6" ? Precision::kBF16X6 : Precision::kF32;
  EXPECT_TRUE(fastest.SameBitsAs(MustAttend(TestProblem(Recipe(ran)))));
  EXPECT_TRUE(fastest.report.precision == "f32" || fastest.report.precision == "bf16_x6");
}

// Numbers that no split holds, each as one element of a query, a key or a value.
constexpr float kUnsplittable[] = {std::numeric_limits<float>::quiet_NaN(),
                                   std::numeric_limits<float>::infinity(),
                                   -std::numeric_limits<float>::infinity(),
                                   std::numeric_limits<float>::max(),
                                   0x1p64f,
                                   0x1p-49f,
                                   std::numeric_limits<float>::denorm_min()};

TEST(PrecisionTest, AQueryThatNoSplitHoldsIsComputedInF32AndNoOther) {
  for (const Precision precision : kSplits) {
    const TestProblem problem(Recipe(precision));
    const TestOutputs before = MustAttend(problem);
    for (const float number : kUnsplittable) {
      TestProblem changed = problem;
      changed.query.Set(0, 2, 50, 7, static_cast<double>(number));
      TestProblem in_f32 = changed;
      in_f32.recipe.options.precision = Precision::kF32;
      const TestOutputs after = MustAttend(changed);
      const TestOutputs f32 = MustAttend(in_f32);
      for (int64_t head = 0; head < 4; ++head) {
        for (int64_t i = 0; i < problem.recipe.query_count; ++i) {
          const bool changed_row = head == 2 && i == 50;
          ASSERT_EQ(after.output.RowBytes(0, head, i),
                    (changed_row ? f32 : before).output.RowBytes(0, head, i))
              << number << ", head " << head << ", query " << i << ", " << problem.recipe;
        }
      }
    }
  }
}

// Of two key-value heads one has the number, in a key or a value that later queries see.
TEST(PrecisionTest, QueriesThatSeeANumberThatNoSplitHoldsAreComputedInF32) {
  constexpr int64_t kKey = 40;
  for (const Precision precision : kSplits) {
    ProblemRecipe recipe = Recipe(precision);
    recipe.causal_offset = 0;
    recipe.weights = true;
    const TestProblem problem(recipe);
    const TestOutputs before = MustAttend(problem);
    for (const float number : kUnsplittable) {
      for (const bool in_key : {true, false}) {
        TestProblem changed = problem;
        (in_key ? changed.key : changed.value).Set(0, 1, kKey, 3, static_cast<double>(number));
        TestProblem in_f32 = changed;
        in_f32.recipe.options.precision = Precision::kF32;
        const TestOutputs after = MustAttend(changed);
        const TestOutputs f32 = MustAttend(in_f32);
        for (int64_t head = 0; head < 4; ++head) {
          for (int64_t i = 0; i < recipe.query_count; ++i) {
            const TestOutputs& want = head >= 2 && i >= kKey ? f32 : before;
            ASSERT_EQ(after.output.RowBytes(0, head, i), want.output.RowBytes(0, head, i))
                << number << (in_key ? " in a key" : " in a value") << ", query " << i;
            ASSERT_EQ(after.weights.RowBytes(0, head, i), want.weights.RowBytes(0, head, i));
          }
        }
      }
    }
  }
}

TEST(PrecisionTest, WhereMostQueriesAreComputedInF32TheReportSaysSo) {
  if (ForcedToFloat64()) GTEST_SKIP() << "which ignores the precision";
  TestProblem problem(Recipe(Precision::kBF16X6));
  problem.key.Set(0, 0, 0, 0, 0x1p-100);
  problem.key.Set(0, 1, 0, 0, 0x1p-100);
  const TestOutputs outputs = MustAttend(problem);
  EXPECT_EQ(outputs.report.precision, "f32");
  problem.recipe.options.precision = Precision::kF32;
  EXPECT_TRUE(outputs.SameBitsAs(MustAttend(problem)));
}

TEST(PrecisionTest, RawScoresOfWhatNoSplitHoldsAreThoseOfF32) {
  ProblemRecipe recipe = Recipe(Precision::kBF16X6);
  recipe.options.scores = kernels::ScoresOutput::kRaw;
  recipe.key_lengths = true;
  TestProblem problem(recipe);
  problem.key_lengths = {100};
  problem.key.Set(0, 1, 650, 0, std::numeric_limits<double>::infinity());  // hidden, but raw
  TestProblem in_f32 = problem;
  in_f32.recipe.options.precision = Precision::kF32;
  const TestOutputs got = MustAttend(problem);
  const TestOutputs want = MustAttend(in_f32);
  for (int64_t i = 0; i < recipe.query_count; ++i) {
    ASSERT_EQ(got.scores.RowBytes(0, 3, i), want.scores.RowBytes(0, 3, i)) << "query " << i;
  }
}

}  // namespace
}  // namespace attention::test
