// The oracle against numbers computed by hand.

#include "kernels/reference/reference_attention.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::kernels {
namespace {

using testing::ElementsAre;
using testing::Pointwise;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// Equal but for the rounding of a handful of operations on numbers near 1.
MATCHER(Agrees, "") {
  const auto [got, want] = arg;
  return got == want ||
         std::abs(got - want) <= 8 * std::numeric_limits<double>::epsilon() * (1 + std::abs(want));
}

// One head of float64 operands, with one-column queries and keys and values unless a test changes
// them.
struct HandProblem {
  std::vector<double> query = {1.0, 2.0};
  std::vector<double> key = {0.0, std::log(3.0)};
  std::vector<double> value = {8.0, 16.0};
  AttentionOptions options;
  AttentionProblem problem;

  HandProblem() {
    problem.query = DenseView(query.data(), DataType::kF64, {1, 1, 2, 1});
    problem.key = DenseView(key.data(), DataType::kF64, {1, 1, 2, 1});
    problem.value = DenseView(value.data(), DataType::kF64, {1, 1, 2, 1});
  }
  HandProblem(const HandProblem&) = delete;
  HandProblem& operator=(const HandProblem&) = delete;

  [[nodiscard]] ReferenceResult Compute() const { return ReferenceAttention(problem, options); }
};

// Scores: query 1: [0, log 3], query 2: [0, log 9].
TEST(ReferenceAttentionTest, SoftmaxOverKeys) {
  const ReferenceResult result = HandProblem().Compute();
  EXPECT_THAT(result.raw_scores, Pointwise(Agrees(), {0.0, std::log(3.0), 0.0, std::log(9.0)}));
  EXPECT_THAT(result.weights, Pointwise(Agrees(), {0.25, 0.75, 0.1, 0.9}));
  EXPECT_THAT(result.output, Pointwise(Agrees(), {14.0, 15.2}));
}

TEST(ReferenceAttentionTest, SoftmaxOverQueries) {
  HandProblem hand;
  hand.options.normalization = Normalization::kSoftmaxOverQueries;
  const ReferenceResult result = hand.Compute();
  EXPECT_THAT(result.weights, Pointwise(Agrees(), {0.5, 0.25, 0.5, 0.75}));
  EXPECT_THAT(result.output, Pointwise(Agrees(), {8.0, 16.0}));
}

TEST(ReferenceAttentionTest, NoNormalizationWithAMultiplicativeMask) {
  HandProblem hand;
  hand.key = {3.0, 5.0};
  const std::vector<double> mask = {1.0, 0.0, -1.0, 0.5};
  hand.problem.multiplicative_mask = DenseView(mask.data(), DataType::kF64, {1, 1, 2, 2});
  hand.options.normalization = Normalization::kNone;
  const ReferenceResult result = hand.Compute();
  EXPECT_THAT(result.raw_scores, ElementsAre(3.0, 5.0, 6.0, 10.0));
  EXPECT_THAT(result.masked_scores, ElementsAre(3.0, 0.0, -6.0, 5.0));
  EXPECT_THAT(result.weights, ElementsAre(3.0, 0.0, -6.0, 5.0));
  EXPECT_THAT(result.output, ElementsAre(24.0, 32.0));
}

TEST(ReferenceAttentionTest, TheDefaultScaleIsOneOverTheRootOfTheKeyWidth) {
  HandProblem hand;
  const std::vector<double> rows = {1.0, 1.0, 1.0, 1.0};
  hand.problem.query = DenseView(rows.data(), DataType::kF64, {1, 1, 1, 4});
  hand.problem.key = DenseView(rows.data(), DataType::kF64, {1, 1, 1, 4});
  hand.problem.value = DenseView(rows.data(), DataType::kF64, {1, 1, 1, 1});
  EXPECT_THAT(hand.Compute().raw_scores, ElementsAre(2.0));
  hand.options.scale = -3.0;
  EXPECT_THAT(hand.Compute().raw_scores, ElementsAre(-12.0));
}

TEST(ReferenceAttentionTest, ABooleanMaskHidesNaN) {
  HandProblem hand;
  hand.key[1] = hand.value[1] = kNaN;
  const std::vector<uint8_t> mask = {1, 0};
  hand.problem.boolean_mask = {mask.data(), DataType::kBool, {1, 1, 2, 2}, {0, 0, 0, 1}};
  const ReferenceResult result = hand.Compute();
  EXPECT_THAT(result.output, ElementsAre(8.0, 8.0));
  EXPECT_THAT(result.weights, ElementsAre(1.0, 0.0, 1.0, 0.0));
  EXPECT_THAT(result.masked_scores, ElementsAre(0.0, -kInfinity, 0.0, -kInfinity));
  EXPECT_TRUE(std::isnan(result.raw_scores[1]));
}

TEST(ReferenceAttentionTest, AnAdditiveMaskAddsAndItsMinusInfinityHides) {
  HandProblem hand;
  const std::vector<float> mask = {0.0f, -std::numeric_limits<float>::infinity(), 1.0f, 1.0f};
  hand.problem.additive_mask = DenseView(mask.data(), DataType::kF32, {1, 1, 2, 2});
  const ReferenceResult result = hand.Compute();
  EXPECT_THAT(result.masked_scores,
              Pointwise(Agrees(), {0.0, -kInfinity, 1.0, 1.0 + std::log(9.0)}));
  EXPECT_THAT(result.output, Pointwise(Agrees(), {8.0, 15.2}));
}

TEST(ReferenceAttentionTest, CausalOffsetAndKeyLengthsHide) {
  HandProblem hand;
  hand.problem.causal = true;
  EXPECT_THAT(hand.Compute().output, Pointwise(Agrees(), {8.0, 15.2}));
  hand.problem.query_offset = -1;
  EXPECT_THAT(hand.Compute().output, ElementsAre(0.0, 8.0));
  hand.problem.query_offset = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(hand.Compute().output, Pointwise(Agrees(), {14.0, 15.2}));
  hand.problem.query_offset = std::numeric_limits<int64_t>::min();
  EXPECT_THAT(hand.Compute().output, ElementsAre(0.0, 0.0));
  hand.problem.causal = false;
  const std::vector<int64_t> lengths = {1};
  hand.problem.key_lengths = lengths;
  EXPECT_THAT(hand.Compute().output, ElementsAre(8.0, 8.0));
}

TEST(ReferenceAttentionTest, WhatSeesNothingGivesZeros) {
  for (const Normalization normalization :
       {Normalization::kSoftmaxOverKeys, Normalization::kSoftmaxOverQueries,
        Normalization::kNone}) {
    HandProblem hand;
    hand.options.normalization = normalization;
    const std::vector<int64_t> lengths = {0};
    hand.problem.key_lengths = lengths;
    const ReferenceResult result = hand.Compute();
    EXPECT_THAT(result.weights, ElementsAre(0.0, 0.0, 0.0, 0.0));
    EXPECT_THAT(result.output, ElementsAre(0.0, 0.0));
    const double hidden_score = normalization == Normalization::kNone ? 0.0 : -kInfinity;
    EXPECT_THAT(result.masked_scores,
                ElementsAre(hidden_score, hidden_score, hidden_score, hidden_score));
  }
}

TEST(ReferenceAttentionTest, GeneralScore) {
  HandProblem hand;
  const std::vector<double> query = {1.0, 2.0};
  const std::vector<double> weight = {1.0, 2.0, 3.0, 4.0};  // query * weight = [7, 10]
  const std::vector<double> keys = {1.0, 0.0, 1.0, 1.0};
  hand.problem.query = DenseView(query.data(), DataType::kF64, {1, 1, 1, 2});
  hand.problem.key = DenseView(keys.data(), DataType::kF64, {1, 1, 2, 2});
  hand.problem.score_first_weight = DenseView(weight.data(), DataType::kF64, {1, 1, 2, 2});
  hand.options.score = ScoreKind::kGeneral;
  EXPECT_THAT(hand.Compute().raw_scores, ElementsAre(7.0, 17.0));
}

TEST(ReferenceAttentionTest, AdditiveScore) {
  HandProblem hand;
  const std::vector<double> first = {1.0, 0.0};
  const std::vector<double> second = {0.0, 2.0};
  const std::vector<double> vector = {10.0, 100.0};
  hand.problem.score_first_weight = DenseView(first.data(), DataType::kF64, {1, 1, 1, 2});
  hand.problem.score_second_weight = DenseView(second.data(), DataType::kF64, {1, 1, 1, 2});
  hand.problem.score_vector = DenseView(vector.data(), DataType::kF64, {1, 1, 1, 2});
  hand.options.score = ScoreKind::kAdditive;
  hand.key = {0.0, 0.5};
  EXPECT_THAT(
      hand.Compute().raw_scores,
      Pointwise(Agrees(), {10 * std::tanh(1.0), 10 * std::tanh(1.0) + 100 * std::tanh(1.0),
                           10 * std::tanh(2.0), 10 * std::tanh(2.0) + 100 * std::tanh(1.0)}));
}

TEST(ReferenceAttentionTest, GroupedHeadsShareKeysAndValues) {
  HandProblem hand;
  const std::vector<double> query(4, 0.0);
  hand.problem.query = DenseView(query.data(), DataType::kF64, {1, 4, 1, 1});
  hand.problem.key = DenseView(hand.key.data(), DataType::kF64, {1, 2, 1, 1});
  hand.problem.value = DenseView(hand.value.data(), DataType::kF64, {1, 2, 1, 1});
  EXPECT_THAT(hand.Compute().output, ElementsAre(8.0, 8.0, 16.0, 16.0));
}

TEST(ReferenceAttentionTest, ASoftcapComesBeforeMasks) {
  HandProblem hand;
  const std::vector<double> mask = {0.0, 5.0, 0.0, 0.0};
  hand.problem.additive_mask = DenseView(mask.data(), DataType::kF64, {1, 1, 2, 2});
  hand.options.softcap = 2.0;
  const ReferenceResult result = hand.Compute();
  const double first = 2.0 * std::tanh(std::log(3.0) / 2.0);
  const double second = 2.0 * std::tanh(std::log(9.0) / 2.0);
  EXPECT_THAT(result.raw_scores, Pointwise(Agrees(), {0.0, std::log(3.0), 0.0, std::log(9.0)}));
  EXPECT_THAT(result.capped_scores, Pointwise(Agrees(), {0.0, first, 0.0, second}));
  EXPECT_THAT(result.masked_scores, Pointwise(Agrees(), {0.0, first + 5.0, 0.0, second}));
}

TEST(ReferenceAttentionTest, PrefixesWindowsSegmentsAndBlocksHide) {
  const std::vector<double> all = {14.0, 15.2};
  const std::vector<double> diagonal = {8.0, 16.0};
  HandProblem prefix;
  const std::vector<int64_t> prefixes = {2};
  prefix.problem.causal = true;
  prefix.problem.prefix_lengths = prefixes;
  EXPECT_THAT(prefix.Compute().output, Pointwise(Agrees(), all));
  HandProblem windows;
  windows.problem.left_window = 0;
  EXPECT_THAT(windows.Compute().output, Pointwise(Agrees(), {14.0, 16.0}));
  windows.problem.right_window = 0;
  EXPECT_THAT(windows.Compute().output, ElementsAre(8.0, 16.0));
  windows.problem.query_offset = 1;
  EXPECT_THAT(windows.Compute().output, ElementsAre(16.0, 0.0));
  windows.problem.left_window = std::numeric_limits<int64_t>::max();
  EXPECT_THAT(windows.Compute().output, Pointwise(Agrees(), all));
  HandProblem segments;
  const std::vector<int32_t> ids = {7, -1};
  segments.problem.query_segments = segments.problem.key_segments = ids;
  EXPECT_THAT(segments.Compute().output, Pointwise(Agrees(), diagonal));
  HandProblem blocks;
  const std::vector<uint8_t> mask = {1, 0};
  blocks.problem.block_mask = {DenseView(mask.data(), DataType::kBool, {1, 1, 1, 2}), 2, 1};
  EXPECT_THAT(blocks.Compute().output, ElementsAre(8.0, 8.0));
}

TEST(ReferenceAttentionTest, BiasesFollowTheDistance) {
  HandProblem hand;
  hand.key = {0.0, 0.0};
  hand.problem.query_offset = 1;  // distances -1, 0 and -2, -1
  const std::vector<double> slopes = {0.5};
  hand.problem.alibi.slopes = slopes;
  EXPECT_THAT(hand.Compute().masked_scores, ElementsAre(-0.5, 0.0, -1.0, -0.5));
  hand.problem.query_offset = -1;  // distances 1, 2 and 0, 1
  EXPECT_THAT(hand.Compute().masked_scores, ElementsAre(0.5, 1.0, 0.0, 0.5));
  hand.problem.alibi.symmetric = true;
  EXPECT_THAT(hand.Compute().masked_scores, ElementsAre(-0.5, -1.0, -0.0, -0.5));
  const std::vector<double> table = {10.0, 20.0, 30.0, 40.0};
  hand.problem.alibi.slopes = {};
  hand.problem.bucketed_bias = {table, 4, 5, true};  // 0 | < 0 | none | > 0
  EXPECT_THAT(hand.Compute().masked_scores, ElementsAre(40.0, 40.0, 10.0, 40.0));
  hand.problem.query_offset = 1;
  EXPECT_THAT(hand.Compute().masked_scores, ElementsAre(20.0, 10.0, 20.0, 20.0));
}

// The sink of weight 4 / 8 and 4 / 14.
TEST(ReferenceAttentionTest, ASinkTakesItsShare) {
  HandProblem hand;
  const std::vector<double> sinks = {std::log(4.0)};
  hand.problem.sinks = sinks;
  ReferenceResult result = hand.Compute();
  EXPECT_THAT(result.weights, Pointwise(Agrees(), {1.0 / 8, 3.0 / 8, 1.0 / 14, 9.0 / 14}));
  EXPECT_THAT(result.log_sum_exp, Pointwise(Agrees(), {std::log(8.0), std::log(14.0)}));
  const std::vector<int64_t> lengths = {0};
  hand.problem.key_lengths = lengths;
  hand.options.fully_masked = FullyMasked::kNan;  // the sink takes all
  result = hand.Compute();
  EXPECT_THAT(result.log_sum_exp, Pointwise(Agrees(), {std::log(4.0), std::log(4.0)}));
  EXPECT_THAT(result.output, ElementsAre(0.0, 0.0));
}

TEST(ReferenceAttentionTest, TemperaturesAndHeadFactorsBelongToHeads) {
  HandProblem hand;
  const std::vector<double> temperatures = {0.5};
  hand.problem.temperatures = temperatures;
  EXPECT_THAT(hand.Compute().weights, Pointwise(Agrees(), {0.1, 0.9, 1.0 / 82, 81.0 / 82}));
  hand.problem.temperatures = {};
  std::vector<double> factors = {-2.0};
  hand.problem.head_factors = factors;
  EXPECT_THAT(hand.Compute().weights, Pointwise(Agrees(), {-0.5, -1.5, -0.2, -1.8}));
  EXPECT_THAT(hand.Compute().output, Pointwise(Agrees(), {-28.0, -30.4}));
  EXPECT_THAT(hand.Compute().softmax, Pointwise(Agrees(), {0.25, 0.75, 0.1, 0.9}));
  factors[0] = 0.0;
  hand.value[0] = hand.key[0] = kNaN;
  EXPECT_THAT(hand.Compute().output, ElementsAre(0.0, 0.0));
}

TEST(ReferenceAttentionTest, RowsThatSeeNothingFollowThePolicy) {
  HandProblem hand;
  hand.problem.causal = true;
  hand.problem.query_offset = -1;
  hand.options.fully_masked = FullyMasked::kUniform;
  EXPECT_THAT(hand.Compute().weights, ElementsAre(0.5, 0.5, 1.0, 0.0));
  EXPECT_THAT(hand.Compute().output, ElementsAre(12.0, 8.0));
  EXPECT_THAT(hand.Compute().softmax, ElementsAre(0.0, 0.0, 1.0, 0.0));
  hand.options.fully_masked = FullyMasked::kNan;
  EXPECT_THAT(hand.Compute().output, ElementsAre(testing::IsNan(), 8.0));
  EXPECT_THAT(hand.Compute().entropy, ElementsAre(0.0, 0.0));
}

TEST(ReferenceAttentionTest, StatisticsDescribeTheWeights) {
  const ReferenceResult result = HandProblem().Compute();
  const double first = -0.25 * std::log(0.25) - 0.75 * std::log(0.75);
  const double second = -0.1 * std::log(0.1) - 0.9 * std::log(0.9);
  EXPECT_THAT(result.log_sum_exp, Pointwise(Agrees(), {std::log(4.0), std::log(10.0)}));
  EXPECT_THAT(result.entropy, Pointwise(Agrees(), {first, second}));
  EXPECT_THAT(result.maximum_weight, Pointwise(Agrees(), {0.75, 0.9}));
  EXPECT_THAT(result.key_mass, Pointwise(Agrees(), {0.35, 1.65}));
}

// Of rows of four numbers at positions 0 and 1, so that a distance of 1 turns the first pair by one
// radian and the second by base^(-1/2).
TEST(ReferenceAttentionTest, TheRotaryEmbeddingTurnsByPositions) {
  const std::vector<double> rows = {1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0};
  const std::vector<double> second = {0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0};
  const auto scores = [](const std::vector<double>& operand, const RotaryEmbedding& rotary,
                         int64_t offset) {
    AttentionProblem problem;
    problem.query = problem.key = problem.value =
        DenseView(operand.data(), DataType::kF64, {1, 1, 2, 4});
    problem.rotary = rotary;
    problem.query_offset = offset;
    return ReferenceAttention(problem, {.scale = 1.0}).raw_scores;
  };
  const double turn = std::cos(1.0);
  EXPECT_THAT(scores(rows, {.base = 100.0}, 0), Pointwise(Agrees(), {1.0, turn, turn, 1.0}));
  EXPECT_THAT(scores(rows, {.base = 100.0}, 1),
              Pointwise(Agrees(), {turn, 1.0, std::cos(2.0), turn}));
  const double less = std::cos(0.1);
  EXPECT_THAT(scores(second, {.base = 100.0}, 0), Pointwise(Agrees(), {1.0, less, less, 1.0}));
  EXPECT_THAT(scores(second, {.base = 100.0, .interleaved = true}, 0),
              Pointwise(Agrees(), {1.0, turn, turn, 1.0}));
  const double half = std::cos(0.5);
  EXPECT_THAT(scores(rows, {.width = 2, .position_scale = 0.5}, 0),
              Pointwise(Agrees(), {1.0, half, half, 1.0}));
}

TEST(ReferenceAttentionTest, ReadsEveryType) {
  const float single[] = {1.5f, -2.0f};
  const uint16_t half[] = {0x3e00, 0xc000};
  const uint16_t bfloat16[] = {0x3fc0, 0xc000};
  const std::pair<const void*, DataType> operands[] = {
      {single, DataType::kF32}, {half, DataType::kF16}, {bfloat16, DataType::kBF16}};
  for (const auto& [data, type] : operands) {
    AttentionProblem problem;
    problem.query = problem.key = problem.value = DenseView(data, type, {1, 1, 1, 2});
    const ReferenceResult result = ReferenceAttention(problem, {.scale = 1.0});
    EXPECT_THAT(result.raw_scores, ElementsAre(6.25)) << Name(type);
    EXPECT_THAT(result.output, ElementsAre(1.5, -2.0)) << Name(type);
  }
}

TEST(ReferenceAttentionTest, NoKeysGiveZerosAndNoQueriesNothing) {
  HandProblem hand;
  hand.problem.key.extents[2] = hand.problem.value.extents[2] = 0;
  EXPECT_THAT(hand.Compute().output, ElementsAre(0.0, 0.0));
  EXPECT_THAT(hand.Compute().weights, ElementsAre());
  hand.problem.query.extents[2] = 0;
  EXPECT_THAT(hand.Compute().output, ElementsAre());
}

}  // namespace
}  // namespace attention::kernels
