// Every implementation against the oracle, over what hides keys, changes scores and describes
// weights, sampled pairwise. Shapes and layouts for their own sake are attend_grid_test's.

#include <limits>
#include <optional>

#include "gtest/gtest.h"
#include "tests/support/grid_part.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/pairwise.h"
#include "tests/support/problem_recipe.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::FullyMasked;
using kernels::Normalization;
using kernels::Precision;
using kernels::ScoreKind;
using kernels::ScoresOutput;

constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();

constexpr int64_t kQueryCounts[] = {2, 17, 33, 64, 65, 129, 257};
constexpr int64_t kDecodeQueryCounts[] = {1, 1, 1, 2, 3, 4, 8};
constexpr int64_t kKeyCounts[] = {0, 1, 16, 33, 64, 129, 257, 511, 1031};
constexpr int64_t kKeyWidths[] = {8, 32, 33, 64};
constexpr int64_t kValueWidths[] = {1, 40, 64};
constexpr int64_t kBatches[] = {1, 3};

struct Heads {
  int64_t query;
  int64_t key_value;
};
constexpr Heads kHeads[] = {{1, 1}, {4, 2}, {3, 1}, {2, 2}};

struct Numbers {
  DataType type;
  Precision precision;
};
constexpr Numbers kNumbers[] = {{DataType::kF32, Precision::kF32},
                                {DataType::kF32, Precision::kBF16X6},
                                {DataType::kF16, Precision::kF32},
                                {DataType::kBF16, Precision::kF32}};

// Offsets of the queries, as shares of what is there; the last ones are as far as numbers go.
enum class Place { kFirst, kLast, kBefore, kBehind, kMiddle, kLeast, kMost };
constexpr Place kPlaces[] = {Place::kFirst,  Place::kLast,  Place::kBefore, Place::kBehind,
                             Place::kMiddle, Place::kLeast, Place::kMost};

struct Window {
  std::optional<int64_t> left;
  std::optional<int64_t> right;
};
const Window kWindows[] = {
    {}, {3, {}}, {{}, 5}, {17, 9}, {0, 0}, {64, 0}, {kUnbounded, kUnbounded}, {100, 130}};

const std::optional<SegmentRecipe> kSegments[] = {std::nullopt, SegmentRecipe{.count = 3},
                                                  SegmentRecipe{.count = 2, .contiguous = false}};

const std::optional<BlockMaskRecipe> kBlockMasks[] = {
    std::nullopt, BlockMaskRecipe{.query_block_size = 16, .key_block_size = 16},
    BlockMaskRecipe{.query_block_size = 64, .key_block_size = 32, .broadcast = {true, true}},
    BlockMaskRecipe{.query_block_size = 1, .key_block_size = 7, .broadcast = {false, true}},
    BlockMaskRecipe{.query_block_size = 1000, .key_block_size = 100, .hidden_share = 0.1}};

const std::optional<MaskRecipe> kMasks[] = {std::nullopt, MaskRecipe{},
                                            MaskRecipe{.broadcast = {false, true, true, false}}};

const std::optional<BucketedBiasRecipe> kBucketedBiases[] = {
    std::nullopt, BucketedBiasRecipe{},
    BucketedBiasRecipe{.bucket_count = 8, .maximum_distance = 20, .bidirectional = false},
    BucketedBiasRecipe{.bucket_count = 2, .maximum_distance = 5, .bidirectional = false}};

const std::optional<kernels::RotaryEmbedding> kRotary[] = {
    std::nullopt, kernels::RotaryEmbedding{.width = 8},
    kernels::RotaryEmbedding{.width = 6, .base = 500.0, .interleaved = true},
    kernels::RotaryEmbedding{.width = 4, .position_scale = 0.25}};

constexpr double kNoSoftcap = 0.0;
constexpr double kSoftcaps[] = {kNoSoftcap, kNoSoftcap, 2.0, 30.0};
constexpr ScoresOutput kScoresOutputs[] = {ScoresOutput::kNone, ScoresOutput::kRaw,
                                           ScoresOutput::kCapped, ScoresOutput::kMasked};
constexpr FullyMasked kPolicies[] = {FullyMasked::kZeros, FullyMasked::kNan, FullyMasked::kUniform};

const StatisticsRecipe kStatistics[] = {{},
                                        StatisticsRecipe::All(1),
                                        StatisticsRecipe::All(5),
                                        {.log_sum_exp = true},
                                        {.key_mass = true},
                                        {.top_count = 256},
                                        {.entropy = true},
                                        {.maximum_weight = true}};

// The order of factors in a combination.
enum Factor {
  kQueryCount,
  kKeyCount,
  kKeyWidth,
  kValueWidth,
  kHeadsFactor,
  kBatch,
  kNumbersFactor,
  kCausal,
  kPlace,
  kOffsets,
  kPrefixes,
  kWindow,
  kLengths,
  kSegmentsFactor,
  kBlocks,
  kBooleanMask,
  kAdditiveMask,
  kAlibi,
  kBuckets,
  kRotaryFactor,
  kSoftcap,
  kHeadNumbers,  // bits: sinks, temperatures, head factors
  kPolicy,
  kScores,
  kWeights,
  kStatisticsFactor,
  kOther,  // of the family
  kFactorCount
};

template <typename T, size_t kSize>
constexpr int Size(const T (&)[kSize]) {
  return static_cast<int>(kSize);
}

// Multiply-adds of one case; the oracle and the naive computation need some nanoseconds for each.
constexpr int64_t kMaxWork = 1'000'000;

int64_t Work(const ProblemRecipe& recipe) {
  const int64_t pairs =
      recipe.batch * recipe.query_head_count * recipe.query_count * recipe.key_count;
  const int64_t width =
      recipe.options.score == ScoreKind::kAdditive ? 20 * recipe.hidden_width : recipe.key_width;
  return pairs * (width + recipe.value_width);
}

int64_t Offset(Place place, int64_t query_count, int64_t key_count) {
  switch (place) {
    case Place::kFirst:
      return 0;
    case Place::kLast:
      return key_count - query_count;
    case Place::kBefore:
      return -query_count / 2 - 1;
    case Place::kBehind:
      return key_count + 3;
    case Place::kMiddle:
      return key_count / 3;
    case Place::kLeast:
      return std::numeric_limits<int64_t>::min();
    case Place::kMost:
      return kUnbounded;
  }
  return 0;
}

// Distances of queries so far away leave no digits to biases and angles.
bool CountsDistances(const ProblemRecipe& recipe) {
  return recipe.alibi || recipe.rotary.has_value();
}

ProblemRecipe PrefillRecipe(const Combination& values) {
  ProblemRecipe recipe;
  recipe.query_count = kQueryCounts[values[kQueryCount]];
  recipe.key_count = kKeyCounts[values[kKeyCount]];
  recipe.key_width = kKeyWidths[values[kKeyWidth]];
  recipe.value_width = kValueWidths[values[kValueWidth]];
  recipe.query_head_count = kHeads[values[kHeadsFactor]].query;
  recipe.key_value_head_count = kHeads[values[kHeadsFactor]].key_value;
  recipe.batch = kBatches[values[kBatch]];
  recipe.type = kNumbers[values[kNumbersFactor]].type;
  recipe.options.precision = kNumbers[values[kNumbersFactor]].precision;
  recipe.alibi = values[kAlibi] != 0;
  recipe.symmetric_alibi = values[kAlibi] == 2;
  recipe.bucketed_bias = kBucketedBiases[values[kBuckets]];
  recipe.rotary = kRotary[values[kRotaryFactor]];
  Place place = kPlaces[values[kPlace]];
  if (CountsDistances(recipe) && (place == Place::kLeast || place == Place::kMost))
    place = Place::kLast;
  recipe.query_offset = Offset(place, recipe.query_count, recipe.key_count);
  if (values[kCausal] != 0) recipe.causal_offset = recipe.query_offset;
  recipe.query_offsets = values[kOffsets] != 0;
  recipe.prefix_lengths = values[kPrefixes] != 0 && values[kCausal] != 0;
  recipe.left_window = kWindows[values[kWindow]].left;
  recipe.right_window = kWindows[values[kWindow]].right;
  recipe.key_lengths = values[kLengths] != 0;
  recipe.segments = kSegments[values[kSegmentsFactor]];
  recipe.block_mask = kBlockMasks[values[kBlocks]];
  recipe.boolean_mask = kMasks[values[kBooleanMask]];
  recipe.additive_mask = kMasks[values[kAdditiveMask]];
  const double softcap = kSoftcaps[values[kSoftcap]];
  if (softcap != kNoSoftcap) recipe.options.softcap = softcap;
  recipe.sinks = (values[kHeadNumbers] & 1) != 0;
  recipe.temperatures = (values[kHeadNumbers] & 2) != 0;
  recipe.head_factors = (values[kHeadNumbers] & 4) != 0;
  recipe.options.fully_masked = kPolicies[values[kPolicy]];
  recipe.options.scores = kScoresOutputs[values[kScores]];
  recipe.weights = values[kWeights] != 0;
  recipe.statistics = kStatistics[values[kStatisticsFactor]];
  return recipe;
}

// Implementations have a path of their own for few queries, if neither weights nor scores are
// asked for.
ProblemRecipe DecodeRecipe(const Combination& values) {
  ProblemRecipe recipe = PrefillRecipe(values);
  recipe.query_count = kDecodeQueryCounts[values[kQueryCount]];
  recipe.query_offset =
      kPlaces[values[kPlace]] == Place::kFirst ? 0 : recipe.key_count - recipe.query_count;
  if (recipe.causal_offset.has_value()) recipe.causal_offset = recipe.query_offset;
  if (values[kOther] != 0) {
    recipe.options.scores = ScoresOutput::kNone;
    recipe.weights = false;
  }
  return recipe;
}

struct Special {
  ScoreKind score;
  Normalization normalization;
  bool multiplicative_mask;
  bool float64;  // operands; otherwise the softmax alone
};
constexpr Special kSpecials[] = {
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverKeys, false, true},
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverKeys, false, false},
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverQueries, false, true},
    {ScoreKind::kDotProduct, Normalization::kSoftmaxOverQueries, false, false},
    {ScoreKind::kDotProduct, Normalization::kNone, true, true},
    {ScoreKind::kDotProduct, Normalization::kNone, true, false},
    {ScoreKind::kGeneral, Normalization::kSoftmaxOverKeys, false, true},
    {ScoreKind::kAdditive, Normalization::kSoftmaxOverKeys, false, false}};

// What is computed in float64 whatever the machine can do.
ProblemRecipe SpecialRecipe(const Combination& values) {
  ProblemRecipe recipe = PrefillRecipe(values);
  const Special& special = kSpecials[values[kOther]];
  recipe.options.score = special.score;
  recipe.options.normalization = special.normalization;
  recipe.options.precision = Precision::kF32;
  recipe.options.float64 = !special.float64;
  if (special.float64) recipe.type = DataType::kF64;
  if (special.multiplicative_mask) recipe.multiplicative_mask = MaskRecipe{.type = recipe.type};
  if (special.score != ScoreKind::kDotProduct) recipe.rotary.reset();
  if (special.normalization != Normalization::kSoftmaxOverKeys) {
    recipe.sinks = false;
    recipe.options.fully_masked = FullyMasked::kZeros;
    recipe.statistics = {};
  }
  return recipe;
}

// Several samples, since many options meet in each case and a pair may show only without others.
constexpr uint64_t kSampleCount = 4;

std::vector<ProblemRecipe> Recipes(ProblemRecipe (*make)(const Combination&), int other_count,
                                   uint64_t first_seed) {
  std::vector<int> value_counts(kFactorCount, 2);
  value_counts[kQueryCount] = Size(kQueryCounts);
  value_counts[kKeyCount] = Size(kKeyCounts);
  value_counts[kKeyWidth] = Size(kKeyWidths);
  value_counts[kValueWidth] = Size(kValueWidths);
  value_counts[kHeadsFactor] = Size(kHeads);
  value_counts[kNumbersFactor] = Size(kNumbers);
  value_counts[kPlace] = Size(kPlaces);
  value_counts[kWindow] = Size(kWindows);
  value_counts[kSegmentsFactor] = Size(kSegments);
  value_counts[kBlocks] = Size(kBlockMasks);
  value_counts[kBooleanMask] = value_counts[kAdditiveMask] = Size(kMasks);
  value_counts[kAlibi] = 3;
  value_counts[kBuckets] = Size(kBucketedBiases);
  value_counts[kRotaryFactor] = Size(kRotary);
  value_counts[kSoftcap] = Size(kSoftcaps);
  value_counts[kHeadNumbers] = 8;
  value_counts[kPolicy] = Size(kPolicies);
  value_counts[kScores] = Size(kScoresOutputs);
  value_counts[kStatisticsFactor] = Size(kStatistics);
  value_counts[kOther] = other_count;
  const auto affordable = [&](const Combination& values) { return Work(make(values)) <= kMaxWork; };
  std::vector<ProblemRecipe> recipes;
  for (uint64_t seed = first_seed; seed < first_seed + kSampleCount; ++seed) {
    for (const Combination& values : PairwiseCombinations(value_counts, affordable, seed)) {
      recipes.push_back(make(values));
      recipes.back().seed = first_seed * 100'000 + recipes.size();
    }
  }
  return recipes;
}

// The grid in parts, so that they can run at the same time.
constexpr int kPartCount = 2;

void CheckPart(const std::vector<ProblemRecipe>& recipes, int part) {
  ASSERT_GT(recipes.size(), 240u);
  CheckGridPart(recipes, part, kPartCount);
}

class OptionGridTest : public testing::TestWithParam<int> {};

TEST_P(OptionGridTest, MatchesTheOracleOverOptionsForManyQueries) {
  CheckPart(Recipes(PrefillRecipe, 1, 100), GetParam());
}

TEST_P(OptionGridTest, MatchesTheOracleOverOptionsForFewQueries) {
  CheckPart(Recipes(DecodeRecipe, 2, 200), GetParam());
}

TEST_P(OptionGridTest, MatchesTheOracleOverOptionsInFloat64) {
  if (ForcedToFused())
    GTEST_SKIP() << "computed by unfused-float64, whatever fused implementation is forced";
  CheckPart(Recipes(SpecialRecipe, Size(kSpecials), 300), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Part, OptionGridTest, testing::Range(0, kPartCount));

}  // namespace
}  // namespace attention::test
