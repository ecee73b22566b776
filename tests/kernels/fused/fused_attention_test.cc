// Random combinations of all that fused attention offers, against the oracle.

#include "kernels/fused/fused_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/matches_reference.h"
#include "tests/support/random.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::FullyMasked;
using kernels::Precision;
using kernels::ScoresOutput;

// A recipe of options, each present now and then: rarely enough that they come alone, too.
class OptionRecipes {
 public:
  explicit OptionRecipes(uint64_t seed) : random_(seed), seed_(seed) {}

  ProblemRecipe Next() {
    ProblemRecipe recipe;
    recipe.seed = seed_ * 1'000'000 + ++count_;
    ChooseShape(recipe);
    ChooseVisibility(recipe);
    ChooseMasks(recipe);
    ChooseScores(recipe);
    ChooseOutputs(recipe);
    return recipe;
  }

 private:
  bool Now() { return random_.Index(4) == 0; }
  template <class T>
  T OneOf(std::initializer_list<T> choices) {
    return choices.begin()[random_.Index(static_cast<int64_t>(choices.size()))];
  }

  void ChooseShape(ProblemRecipe& recipe) {
    recipe.batch = OneOf<int64_t>({1, 1, 2, 3});
    recipe.key_value_head_count = OneOf<int64_t>({1, 2});
    recipe.query_head_count = recipe.key_value_head_count * OneOf<int64_t>({1, 1, 2, 4});
    recipe.query_count = OneOf<int64_t>({1, 3, 16, 33, 70, 130, 200});
    recipe.key_count = OneOf<int64_t>({1, 17, 64, 129, 300, 520, 1100});
    recipe.key_width = OneOf<int64_t>({8, 33, 64});
    recipe.value_width = OneOf<int64_t>({5, 16, 64});
    recipe.type = OneOf({DataType::kF32, DataType::kF32, DataType::kF16, DataType::kBF16});
    if (recipe.type == DataType::kF32 && Now()) recipe.options.precision = Precision::kBF16X6;
  }

  void ChooseVisibility(ProblemRecipe& recipe) {
    const int64_t aligned = recipe.key_count - recipe.query_count;
    recipe.query_offset = OneOf<int64_t>({0, aligned, -7, 250});
    if (random_.Index(2) == 0) recipe.causal_offset = recipe.query_offset;
    recipe.query_offsets = Now();
    recipe.prefix_lengths = recipe.causal_offset.has_value() && Now();
    if (Now()) recipe.left_window = OneOf<int64_t>({0, 1, 20, 100, 400});
    if (Now()) recipe.right_window = OneOf<int64_t>({0, 1, 20, 100, 400});
    recipe.key_lengths = Now();
    if (Now()) recipe.segments = SegmentRecipe{.contiguous = random_.Index(2) == 0};
  }

  void ChooseMasks(ProblemRecipe& recipe) {
    const auto broadcast = [&] { return std::array<bool, 4>{Now(), Now(), Now(), Now()}; };
    if (Now()) {
      recipe.block_mask = BlockMaskRecipe{.query_block_size = OneOf<int64_t>({1, 16, 64, 1000}),
                                          .key_block_size = OneOf<int64_t>({1, 16, 64, 100}),
                                          .broadcast = broadcast()};
    }
    if (Now()) recipe.boolean_mask = MaskRecipe{.broadcast = broadcast()};
    if (Now()) recipe.additive_mask = MaskRecipe{.broadcast = broadcast(), .type = recipe.type};
  }

  void ChooseScores(ProblemRecipe& recipe) {
    if (Now()) recipe.options.scale = OneOf({1.0, -0.5, 3.0});
    if (Now()) recipe.options.softcap = OneOf({0.5, 5.0, 50.0});
    recipe.alibi = Now();
    recipe.symmetric_alibi = random_.Index(2) == 0;
    if (Now()) recipe.bucketed_bias = BucketedBiasRecipe{.bidirectional = random_.Index(2) == 0};
    recipe.sinks = Now();
    recipe.temperatures = Now();
    recipe.head_factors = Now();
    recipe.options.fully_masked =
        OneOf({FullyMasked::kZeros, FullyMasked::kZeros, FullyMasked::kNan, FullyMasked::kUniform});
  }

  void ChooseOutputs(ProblemRecipe& recipe) {
    recipe.weights = Now();
    if (Now()) {
      recipe.options.scores =
          OneOf({ScoresOutput::kRaw, ScoresOutput::kCapped, ScoresOutput::kMasked});
    }
    recipe.statistics = {.log_sum_exp = Now(),
                         .entropy = Now(),
                         .maximum_weight = Now(),
                         .key_mass = Now(),
                         .top_count = Now() ? OneOf<int64_t>({1, 5, 40}) : 0};
  }

  Random random_;
  const uint64_t seed_;
  uint64_t count_ = 0;
};

// Multiply-adds of one case; the oracle needs some nanoseconds for each.
constexpr int64_t kMaxWork = 2'000'000;

bool IsAffordable(const ProblemRecipe& recipe) {
  return recipe.batch * recipe.query_head_count * recipe.query_count * recipe.key_count *
             (recipe.key_width + recipe.value_width) <=
         kMaxWork;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kCaseCount = 20;
#else
constexpr int kCaseCount = 100;
#endif

class FusedAttentionTest : public testing::TestWithParam<int> {};

TEST_P(FusedAttentionTest, MatchesTheOracleOverCombinationsOfOptions) {
  if (ForcedToFloat64()) GTEST_SKIP() << "not fused";
  OptionRecipes recipes(static_cast<uint64_t>(GetParam()) + 1);
  for (int done = 0; done < kCaseCount;) {
    const ProblemRecipe recipe = recipes.Next();
    if (!IsAffordable(recipe)) continue;
    const TestProblem problem(recipe);
    const TestOutputs outputs = MustAttend(problem);
    EXPECT_TRUE(MatchesReference(problem, outputs))
        << "computed by " << outputs.report.implementation;
    ++done;
  }
}

// Of a tile and of decoding.
TEST(FusedStatisticsTest, ANanRowGivesMassToTheKeysThatItSeesAndToNoOthers) {
  for (const int64_t query_count : {40, 2}) {
    ProblemRecipe recipe;
    recipe.query_count = query_count;
    recipe.key_count = 300;
    recipe.boolean_mask = MaskRecipe{};
    recipe.weights = query_count > 8;
    recipe.statistics = StatisticsRecipe::All(3);
    TestProblem problem(recipe);
    problem.query.Set(0, 0, 1, 0, std::numeric_limits<double>::quiet_NaN());
    const TestOutputs outputs = MustAttend(problem);
    for (int64_t key = 0; key < recipe.key_count; ++key) {
      const bool sees = problem.boolean_mask.At(0, 0, 1, key) != 0;
      ASSERT_EQ(std::isnan(outputs.key_mass.At(0, 0, 0, key)), sees) << key;
      if (!recipe.weights) continue;
      ASSERT_EQ(std::isnan(outputs.weights.At(0, 0, 1, key)), sees) << key;
    }
    EXPECT_TRUE(std::isnan(outputs.entropy.At(0, 0, 1, 0)));
    EXPECT_TRUE(std::isnan(outputs.maximum_weight.At(0, 0, 1, 0)));
    EXPECT_TRUE(std::isnan(outputs.top_weights.At(0, 0, 1, 0)));
    EXPECT_FALSE(std::isnan(outputs.entropy.At(0, 0, 0, 0)));
  }
}

// The option is a float64, scores are in f32.
TEST(FusedSoftcapTest, MayBeBeyondTheRangeOfF32) {
  for (const int64_t query_count : {1, 33}) {
    for (const double softcap : {1e-320, 1e-45, 1e39, 1e300}) {
      ProblemRecipe recipe;
      recipe.query_count = query_count;
      recipe.key_count = 300;
      recipe.options.softcap = softcap;
      const TestProblem problem(recipe);
      EXPECT_TRUE(MatchesReference(problem, MustAttend(problem))) << recipe;
    }
  }
}

// A magnitude of queries and keys in F32 with which products times `factor` are not far from 1.
double MagnitudeFor(double factor) {
  return factor == 0 ? 1.0 : std::min(1 / std::sqrt(std::abs(factor)), 1e25);
}

// From one end of the range to the other, within and beyond what f32 carries.
TEST(FusedScaleTest, MayBeBeyondTheRangeOfF32) {
  for (const int64_t query_count : {1, 33}) {
    for (const double scale : {1e-300, 1e-50, 1e-39, 1e-31, 1e-29, -1e-29, -1e-31, 0.0, 1e29, 1e31,
                               1e39, -1e39, 1e300}) {
      for (const ScoresOutput scores : {ScoresOutput::kNone, ScoresOutput::kRaw,
                                        ScoresOutput::kCapped, ScoresOutput::kMasked}) {
        for (const double softcap : {0.0, 5.0, 1e39}) {
          ProblemRecipe recipe;
          recipe.query_count = query_count;
          recipe.key_count = 300;
          recipe.options.scale = scale;
          recipe.options.scores = scores;
          if (softcap != 0) recipe.options.softcap = softcap;
          recipe.magnitude = MagnitudeFor(scale);
          const TestProblem problem(recipe);
          EXPECT_TRUE(MatchesReference(problem, MustAttend(problem))) << recipe;
        }
      }
    }
  }
}

TEST(FusedTemperatureTest, MayBeBeyondTheRangeOfF32) {
  for (const int64_t query_count : {1, 33}) {
    for (const double temperature : {1e-100, 1e-50, 1e-31, 1e-29, 1e29, 1e31, 1e50, 1e100}) {
      for (const bool alibi : {false, true}) {
        ProblemRecipe recipe;
        recipe.query_count = query_count;
        recipe.key_count = 300;
        recipe.temperatures = true;
        recipe.alibi = alibi;
        if (temperature > 1 || !alibi) recipe.options.scores = ScoresOutput::kMasked;
        recipe.magnitude = MagnitudeFor(1 / temperature);
        TestProblem problem(recipe);
        problem.temperatures = {temperature};
        EXPECT_TRUE(MatchesReference(problem, MustAttend(problem))) << temperature << " " << recipe;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Part, FusedAttentionTest, testing::Range(0, 4));

}  // namespace
}  // namespace attention::test
