// Every implementation against the oracle, over boundary shapes, types and options, sampled
// pairwise.

#include <algorithm>
#include <array>
#include <limits>

#include "gtest/gtest.h"
#include "tests/support/grid_part.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/pairwise.h"
#include "tests/support/problem_recipe.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Normalization;
using kernels::ScoreKind;
using kernels::ScoresOutput;

// Around the edges of tiles and vectors.
constexpr int64_t kCounts[] = {0,  1,  2,   15,  16,  17,  31,  33,  63,
                               64, 65, 127, 128, 129, 257, 511, 513, 1031};
constexpr int64_t kWidths[] = {1, 2, 3, 7, 16, 31, 32, 33, 64, 65, 80, 128, 129, 256};

struct Heads {
  int64_t query;
  int64_t key_value;
};
constexpr Heads kHeads[] = {{1, 1}, {2, 2}, {2, 1}, {4, 1}, {8, 1}, {8, 4}, {6, 3}, {3, 3}};
constexpr int64_t kBatches[] = {1, 2, 3};
constexpr DataType kTypes[] = {DataType::kF32, DataType::kF16, DataType::kBF16};
constexpr Layout kLayouts[] = {Layout::kDense, Layout::kSequenceFirst, Layout::kPadded};
constexpr ScoresOutput kScoresOutputs[] = {ScoresOutput::kNone, ScoresOutput::kRaw,
                                           ScoresOutput::kMasked};

// 0 stands for the default.
constexpr double kDefaultScale = 0.0;
constexpr double kScales[] = {kDefaultScale, kDefaultScale, 1.0, -0.5, 1e-30, 8.0};

enum class Causality {
  kNone,
  kTopLeft,
  kBottomRight,
  kNegative,
  kBeyond,
  kAllHidden,
  kLeast,
  kMost
};
constexpr Causality kCausalities[] = {
    Causality::kNone,        Causality::kNone,     Causality::kTopLeft,
    Causality::kBottomRight, Causality::kNegative, Causality::kBeyond,
    Causality::kAllHidden,   Causality::kLeast,    Causality::kMost};

// Index 0: no mask; 1 + i: broadcast along the axes whose bits are set in i.
constexpr int kMaskChoices = 17;
constexpr DataType kMaskTypes[] = {DataType::kF32, DataType::kBF16, DataType::kF16, DataType::kF64};

// Multiply-adds of one case; the oracle and the naive computation need some nanoseconds for each.
constexpr int64_t kMaxWork = 2'500'000;

template <typename T, size_t kSize>
constexpr int Size(const T (&)[kSize]) {
  return static_cast<int>(kSize);
}

std::optional<int64_t> CausalOffset(Causality causality, int64_t query_count, int64_t key_count) {
  switch (causality) {
    case Causality::kNone:
      return std::nullopt;
    case Causality::kTopLeft:
      return 0;
    case Causality::kBottomRight:
      return key_count - query_count;
    case Causality::kNegative:
      return -query_count / 2 - 1;
    case Causality::kBeyond:
      return key_count + 3;
    case Causality::kAllHidden:
      return -query_count - 5;
    case Causality::kLeast:
      return std::numeric_limits<int64_t>::min();
    case Causality::kMost:
      return std::numeric_limits<int64_t>::max();
  }
  return std::nullopt;
}

std::optional<MaskRecipe> Mask(int choice, DataType type) {
  if (choice == 0) return std::nullopt;
  const int bits = choice - 1;
  return MaskRecipe{
      .broadcast = {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0},
      .type = type};
}

int64_t Work(const ProblemRecipe& recipe) {
  const int64_t pairs =
      recipe.batch * recipe.query_head_count * recipe.query_count * recipe.key_count;
  const int64_t width =
      recipe.options.score == ScoreKind::kAdditive ? 20 * recipe.hidden_width : recipe.key_width;
  return pairs * (width + recipe.value_width);
}

// The order of factors in a combination.
enum Factor {
  kQueryCount,
  kKeyCount,
  kKeyWidth,
  kValueWidth,
  kHeadsFactor,
  kBatch,
  kType,
  kLayout,
  kScale,
  kCausalityFactor,
  kLengths,
  kBooleanMask,
  kAdditiveMask,
  kAdditiveType,
  kScores,
  kWeights,
  kSpecial,
  kFactorCount
};

ProblemRecipe CommonRecipe(const Combination& values) {
  ProblemRecipe recipe;
  recipe.query_count = kCounts[values[kQueryCount]];
  recipe.key_count = kCounts[values[kKeyCount]];
  recipe.key_width = kWidths[values[kKeyWidth]];
  recipe.value_width = kWidths[values[kValueWidth]];
  recipe.query_head_count = kHeads[values[kHeadsFactor]].query;
  recipe.key_value_head_count = kHeads[values[kHeadsFactor]].key_value;
  recipe.batch = kBatches[values[kBatch]];
  recipe.type = kTypes[values[kType]];
  recipe.layout = kLayouts[values[kLayout]];
  const double scale = kScales[values[kScale]];
  if (scale != kDefaultScale) recipe.options.scale = scale;
  recipe.causal_offset =
      CausalOffset(kCausalities[values[kCausalityFactor]], recipe.query_count, recipe.key_count);
  recipe.key_lengths = values[kLengths] != 0;
  recipe.boolean_mask = Mask(values[kBooleanMask], DataType::kBool);
  recipe.additive_mask = Mask(values[kAdditiveMask], kMaskTypes[values[kAdditiveType]]);
  recipe.options.scores = kScoresOutputs[values[kScores]];
  recipe.weights = values[kWeights] != 0;
  return recipe;
}

// F32 operands, split. Magnitudes around the ends of what a split holds come now and then.
ProblemRecipe SplitRecipe(const Combination& values) {
  ProblemRecipe recipe = CommonRecipe(values);
  recipe.type = DataType::kF32;
  recipe.options.precision = kernels::Precision::kBF16X6;
  constexpr double kMagnitudes[] = {1.0, 1.0, 0x1p-20, 0x1p-46, 0x1p-60, 0x1p-120, 0x1p12, 0x1p40};
  recipe.magnitude = kMagnitudes[values[kBooleanMask] % Size(kMagnitudes)];
  return recipe;
}

// One query and nothing but outputs: implementations have a path of their own for it.
ProblemRecipe DecodeRecipe(const Combination& values) {
  ProblemRecipe recipe = CommonRecipe(values);
  recipe.query_count = 1;
  recipe.causal_offset =
      CausalOffset(kCausalities[values[kCausalityFactor]], recipe.query_count, recipe.key_count);
  recipe.options.scores = ScoresOutput::kNone;
  recipe.weights = false;
  return recipe;
}

struct SpecialOptions {
  ScoreKind score;
  Normalization normalization;
  bool multiplicative_mask;
  bool float64;
};
constexpr SpecialOptions kSpecialOptions[] = {
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverKeys, false, true},
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverQueries, false, true},
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverQueries, false, false},
    {ScoreKind::kDotProduct, Normalization::kNone, true, true},
    {ScoreKind::kDotProduct, Normalization::kNone, true, false},
    {ScoreKind::kDotProduct, Normalization::kNone, false, true},
    {ScoreKind::kGeneral, Normalization::kSoftmaxOverKeys, false, true},
    {ScoreKind::kGeneral, Normalization::kSoftmaxOverQueries, false, false},
    {ScoreKind::kAdditive, Normalization::kSoftmaxOverKeys, false, true},
    {ScoreKind::kAdditive, Normalization::kSoftmaxOverKeys, false, false},
    {ScoreKind::kAdditive, Normalization::kNone, true, true},
};

ProblemRecipe SpecialRecipe(const Combination& values) {
  ProblemRecipe recipe = CommonRecipe(values);
  const SpecialOptions& special = kSpecialOptions[values[kSpecial]];
  recipe.options.score = special.score;
  recipe.options.normalization = special.normalization;
  if (special.multiplicative_mask)
    recipe.multiplicative_mask = Mask(1 + values[kBooleanMask] % 16, recipe.type);
  if (special.float64) recipe.type = DataType::kF64;
  return recipe;
}

std::vector<ProblemRecipe> Recipes(ProblemRecipe (*make)(const Combination&), int special_count,
                                   uint64_t seed) {
  std::vector<int> value_counts(kFactorCount);
  value_counts[kQueryCount] = value_counts[kKeyCount] = Size(kCounts);
  value_counts[kKeyWidth] = value_counts[kValueWidth] = Size(kWidths);
  value_counts[kHeadsFactor] = Size(kHeads);
  value_counts[kBatch] = Size(kBatches);
  value_counts[kType] = Size(kTypes);
  value_counts[kLayout] = Size(kLayouts);
  value_counts[kScale] = Size(kScales);
  value_counts[kCausalityFactor] = Size(kCausalities);
  value_counts[kLengths] = 2;
  value_counts[kBooleanMask] = value_counts[kAdditiveMask] = kMaskChoices;
  value_counts[kAdditiveType] = Size(kMaskTypes);
  value_counts[kScores] = Size(kScoresOutputs);
  value_counts[kWeights] = 2;
  value_counts[kSpecial] = special_count;
  const auto affordable = [&](const Combination& values) { return Work(make(values)) <= kMaxWork; };
  std::vector<ProblemRecipe> recipes;
  for (const Combination& values : PairwiseCombinations(value_counts, affordable, seed)) {
    recipes.push_back(make(values));
    recipes.back().seed = seed * 100'000 + recipes.size();
  }
  return recipes;
}

// The grid in parts, so that they can run at the same time.
constexpr int kPartCount = 4;

void CheckPart(const std::vector<ProblemRecipe>& recipes, int part) {
  CheckGridPart(recipes, part, kPartCount);
}

class AttendGridTest : public testing::TestWithParam<int> {};

TEST_P(AttendGridTest, MatchesTheOracleOverShapesTypesAndMasks) {
  const std::vector<ProblemRecipe> recipes = Recipes(CommonRecipe, 1, 1);
  ASSERT_GT(recipes.size(), 300u);
  CheckPart(recipes, GetParam());
}

TEST_P(AttendGridTest, MatchesTheOracleForOneQuery) {
  const std::vector<ProblemRecipe> recipes = Recipes(DecodeRecipe, 1, 3);
  ASSERT_GT(recipes.size(), 300u);
  CheckPart(recipes, GetParam());
}

// The tolerance is that of f32.
TEST_P(AttendGridTest, MatchesTheOracleInSixProductsOfBF16) {
  const std::vector<ProblemRecipe> recipes = Recipes(SplitRecipe, 1, 4);
  ASSERT_GT(recipes.size(), 300u);
  CheckPart(recipes, GetParam());
}

TEST_P(AttendGridTest, MatchesTheOracleOverScoresAndNormalizations) {
  if (ForcedToFused())
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  const std::vector<ProblemRecipe> recipes = Recipes(SpecialRecipe, Size(kSpecialOptions), 2);
  ASSERT_GT(recipes.size(), 300u);
  CheckPart(recipes, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Part, AttendGridTest, testing::Range(0, kPartCount));

}  // namespace
}  // namespace attention::test
