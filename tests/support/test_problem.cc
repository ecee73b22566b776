#include "tests/support/test_problem.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "gtest/gtest.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/random.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Extents;
using kernels::ScoreKind;

constexpr int32_t kGuardKey = 0x5A5A5A5A;
constexpr int64_t kGuardKeys = 4;

Extents ScoreExtents(const ProblemRecipe& recipe) {
  return {recipe.batch, recipe.query_head_count, recipe.query_count, recipe.key_count};
}

std::function<double()> NormalNumbers(Random& random, double magnitude) {
  return [&random, magnitude] { return magnitude * random.Normal(); };
}

// Parameters that keep the scores near 1, whatever the widths.
void MakeScoreParameters(Random& random, TestProblem& problem) {
  const ProblemRecipe& recipe = problem.recipe;
  if (recipe.options.score == ScoreKind::kDotProduct) return;
  const int64_t columns =
      recipe.options.score == ScoreKind::kGeneral ? recipe.key_width : recipe.hidden_width;
  const auto numbers = NormalNumbers(random, 1.0 / static_cast<double>(recipe.key_width));
  problem.score_first_weight = TestTensor(recipe.type, {1, 1, recipe.key_width, columns});
  problem.score_first_weight.Fill(numbers);
  if (recipe.options.score == ScoreKind::kGeneral) return;
  problem.score_second_weight = TestTensor(recipe.type, {1, 1, recipe.key_width, columns});
  problem.score_second_weight.Fill(numbers);
  problem.score_vector = TestTensor(recipe.type, {1, 1, 1, columns});
  problem.score_vector.Fill(NormalNumbers(random, 1.0));
}

void MakeMasks(Random& random, TestProblem& problem) {
  const ProblemRecipe& recipe = problem.recipe;
  const Extents extents = ScoreExtents(recipe);
  if (const auto& mask = recipe.boolean_mask; mask.has_value()) {
    problem.boolean_mask = TestTensor::Mask(DataType::kBool, extents, mask->broadcast);
    problem.boolean_mask.Fill([&] { return random.Uniform() < mask->hidden_share ? 0.0 : 1.0; });
  }
  if (const auto& mask = recipe.additive_mask; mask.has_value()) {
    problem.additive_mask = TestTensor::Mask(mask->type, extents, mask->broadcast);
    problem.additive_mask.Fill([&] {
      return random.Uniform() < mask->hidden_share ? -std::numeric_limits<double>::infinity()
                                                   : random.Normal();
    });
  }
  if (const auto& mask = recipe.multiplicative_mask; mask.has_value()) {
    problem.multiplicative_mask = TestTensor::Mask(mask->type, extents, mask->broadcast);
    problem.multiplicative_mask.Fill(NormalNumbers(random, 1.0));
  }
}

void MakeKeyLengths(Random& random, TestProblem& problem) {
  if (!problem.recipe.key_lengths) return;
  const int64_t key_count = problem.recipe.key_count;
  for (int64_t batch = 0; batch < problem.recipe.batch; ++batch) {
    const int64_t choices[] = {key_count, 0, random.Index(key_count + 1),
                               random.Index(key_count + 1)};
    problem.key_lengths.push_back(choices[random.Index(4)]);
  }
}

void MakePositions(Random& random, TestProblem& problem) {
  const ProblemRecipe& recipe = problem.recipe;
  constexpr int64_t kFar = int64_t{1} << 60;  // nothing is added to offsets beyond
  const int64_t offset = recipe.causal_offset.value_or(recipe.query_offset);
  const int64_t spread = recipe.key_count / 2 + 2;
  for (int64_t batch = 0; batch < recipe.batch; ++batch) {
    const int64_t step = random.Index(2 * spread + 1) - spread;
    const int64_t prefixes[] = {0, recipe.key_count, random.Index(recipe.key_count + 1)};
    const int64_t prefix = prefixes[random.Index(3)];
    if (recipe.query_offsets)
      problem.query_offsets.push_back(offset > -kFar && offset < kFar ? offset + step : offset);
    if (recipe.prefix_lengths) problem.prefix_lengths.push_back(prefix);
  }
}

std::vector<int32_t> Segments(Random& random, const SegmentRecipe& recipe, int64_t batch,
                              int64_t row_count) {
  std::vector<int32_t> segments;
  for (int64_t entry = 0; entry < batch; ++entry) {
    int32_t segment = 0;
    for (int64_t row = 0; row < row_count; ++row) {
      if (!recipe.contiguous) {
        segment = static_cast<int32_t>(random.Index(recipe.count));
      } else if (random.Index(row_count) < recipe.count) {
        ++segment;
      }
      segments.push_back(segment);
    }
  }
  return segments;
}

void MakeBlocksAndSegments(Random& random, TestProblem& problem) {
  const ProblemRecipe& recipe = problem.recipe;
  if (recipe.segments.has_value()) {
    problem.query_segments = Segments(random, *recipe.segments, recipe.batch, recipe.query_count);
    problem.key_segments = Segments(random, *recipe.segments, recipe.batch, recipe.key_count);
  }
  if (const auto& mask = recipe.block_mask; mask.has_value()) {
    const auto blocks = [](int64_t count, int64_t size) { return (count + size - 1) / size; };
    const Extents extents = {recipe.batch, recipe.query_head_count,
                             blocks(recipe.query_count, mask->query_block_size),
                             blocks(recipe.key_count, mask->key_block_size)};
    problem.block_mask = TestTensor::Mask(DataType::kBool, extents, mask->broadcast);
    problem.block_mask.Fill([&] { return random.Uniform() < mask->hidden_share ? 0.0 : 1.0; });
  }
}

void MakeHeadNumbers(Random& random, TestProblem& problem) {
  const ProblemRecipe& recipe = problem.recipe;
  for (int64_t head = 0; head < recipe.query_head_count; ++head) {
    const double sink = 3.0 * random.Normal();
    const bool no_sink = random.Index(6) == 0;
    const double temperature = std::exp2(2.0 * random.Uniform() - 1.0);
    const double factors[] = {0.0, 1.0, random.Normal(), random.Uniform()};
    const double factor = factors[random.Index(4)];
    const double slope = 0.5 * random.Uniform();
    if (recipe.sinks)
      problem.sinks.push_back(no_sink ? -std::numeric_limits<double>::infinity() : sink);
    if (recipe.temperatures) problem.temperatures.push_back(temperature);
    if (recipe.head_factors) problem.head_factors.push_back(factor);
    if (recipe.alibi) problem.alibi_slopes.push_back(slope);
  }
  if (const auto& bias = recipe.bucketed_bias; bias.has_value()) {
    for (int64_t entry = 0; entry < bias->bucket_count * recipe.query_head_count; ++entry)
      problem.bias_table.push_back(random.Normal());
  }
}

}  // namespace

TestProblem::TestProblem(const ProblemRecipe& recipe_in)
    : recipe(recipe_in),
      query(recipe.type,
            {recipe.batch, recipe.query_head_count, recipe.query_count, recipe.key_width},
            recipe.layout),
      key(recipe.type,
          {recipe.batch, recipe.key_value_head_count, recipe.key_count, recipe.key_width},
          recipe.layout),
      value(recipe.type,
            {recipe.batch, recipe.key_value_head_count, recipe.key_count, recipe.value_width},
            recipe.layout) {
  Random random(recipe.seed);
  for (TestTensor* tensor : {&query, &key, &value})
    tensor->Fill(NormalNumbers(random, recipe.magnitude));
  MakeScoreParameters(random, *this);
  MakeMasks(random, *this);
  MakeKeyLengths(random, *this);
  MakePositions(random, *this);
  MakeBlocksAndSegments(random, *this);
  MakeHeadNumbers(random, *this);
}

kernels::AttentionProblem TestProblem::View() const {
  kernels::AttentionProblem problem;
  problem.query = query.view();
  problem.key = key.view();
  problem.value = value.view();
  problem.boolean_mask = boolean_mask.view();
  problem.additive_mask = additive_mask.view();
  problem.multiplicative_mask = multiplicative_mask.view();
  problem.causal = recipe.causal_offset.has_value();
  problem.query_offset = recipe.causal_offset.value_or(recipe.query_offset);
  problem.query_offsets = query_offsets;
  problem.prefix_lengths = prefix_lengths;
  problem.left_window = recipe.left_window;
  problem.right_window = recipe.right_window;
  problem.key_lengths = key_lengths;
  problem.query_segments = query_segments;
  problem.key_segments = key_segments;
  if (recipe.block_mask.has_value()) {
    problem.block_mask = {block_mask.view(), recipe.block_mask->query_block_size,
                          recipe.block_mask->key_block_size};
  }
  problem.sinks = sinks;
  problem.temperatures = temperatures;
  problem.head_factors = head_factors;
  problem.alibi = {alibi_slopes, recipe.symmetric_alibi};
  if (recipe.bucketed_bias.has_value()) {
    problem.bucketed_bias = {bias_table, recipe.bucketed_bias->bucket_count,
                             recipe.bucketed_bias->maximum_distance,
                             recipe.bucketed_bias->bidirectional};
  }
  problem.rotary = recipe.rotary;
  problem.score_first_weight = score_first_weight.view();
  problem.score_second_weight = score_second_weight.view();
  problem.score_vector = score_vector.view();
  return problem;
}

TestOutputs::TestOutputs(const ProblemRecipe& recipe)
    : output(recipe.type,
             {recipe.batch, recipe.query_head_count, recipe.query_count, recipe.value_width},
             recipe.layout) {
  if (recipe.weights) weights = TestTensor(recipe.type, ScoreExtents(recipe));
  if (recipe.options.scores != kernels::ScoresOutput::kNone) {
    scores = TestTensor(recipe.type, ScoreExtents(recipe));
  }
  const DataType type = recipe.type == DataType::kF64 ? DataType::kF64 : DataType::kF32;
  const StatisticsRecipe& statistics = recipe.statistics;
  const Extents rows = {recipe.batch, recipe.query_head_count, recipe.query_count, 1};
  if (statistics.log_sum_exp) log_sum_exp = TestTensor(type, rows);
  if (statistics.entropy) entropy = TestTensor(type, rows);
  if (statistics.maximum_weight) maximum_weight = TestTensor(type, rows);
  if (statistics.key_mass)
    key_mass = TestTensor(type, {recipe.batch, recipe.query_head_count, 1, recipe.key_count});
  top_count_ = statistics.top_count;
  if (top_count_ > 0) {
    const Extents top = {recipe.batch, recipe.query_head_count, recipe.query_count, top_count_};
    top_weights = TestTensor(type, top);
    top_keys_.assign(static_cast<size_t>(kernels::ElementCount(top)) + 2 * kGuardKeys, kGuardKey);
  }
}

kernels::AttentionOutputs TestOutputs::View() {
  kernels::AttentionOutputs outputs;
  outputs.output = output.mutable_view();
  outputs.weights = weights.mutable_view();
  outputs.scores = scores.mutable_view();
  outputs.log_sum_exp = log_sum_exp.mutable_view();
  outputs.entropy = entropy.mutable_view();
  outputs.maximum_weight = maximum_weight.mutable_view();
  outputs.key_mass = key_mass.mutable_view();
  if (top_count_ > 0) {
    outputs.top_weights = {top_count_, top_weights.mutable_view(), top_keys_.data() + kGuardKeys};
  }
  return outputs;
}

std::span<const int32_t> TestOutputs::TopKeys() const {
  if (top_keys_.empty()) return {};
  return std::span(top_keys_).subspan(kGuardKeys, top_keys_.size() - 2 * kGuardKeys);
}

bool TestOutputs::GuardsIntact() const {
  for (const TestTensor* tensor : {&output, &weights, &scores, &log_sum_exp, &entropy,
                                   &maximum_weight, &key_mass, &top_weights}) {
    if (!tensor->GuardsIntact()) return false;
  }
  if (top_keys_.empty()) return true;
  const auto is_guard = [](int32_t key) { return key == kGuardKey; };
  return std::all_of(top_keys_.begin(), top_keys_.begin() + kGuardKeys, is_guard) &&
         std::all_of(top_keys_.end() - kGuardKeys, top_keys_.end(), is_guard);
}

bool TestOutputs::SameBitsAs(const TestOutputs& other) const {
  const auto same = [](const TestTensor& a, const TestTensor& b) {
    return a.storage() == b.storage();
  };
  return same(output, other.output) && same(weights, other.weights) && same(scores, other.scores) &&
         same(log_sum_exp, other.log_sum_exp) && same(entropy, other.entropy) &&
         same(maximum_weight, other.maximum_weight) && same(key_mass, other.key_mass) &&
         same(top_weights, other.top_weights) && top_keys_ == other.top_keys_;
}

TestOutputs MustAttend(const TestProblem& problem, const kernels::Execution& execution) {
  TestOutputs outputs(problem.recipe);
  const kernels::AttentionProblem view = problem.View();
  const absl::StatusOr<kernels::AttentionReport> report =
      kernels::Attend(view, problem.recipe.options, outputs.View(), execution);
  EXPECT_TRUE(report.ok()) << report.status() << "\n" << problem.recipe;
  if (!report.ok()) return outputs;
  outputs.report = *report;
  EXPECT_TRUE(outputs.GuardsIntact()) << "wrote outside the outputs\n" << problem.recipe;
  const kernels::Implementation* forced = ForcedImplementation();
  kernels::AttentionProblem turned = view;
  turned.rotary.reset();
  if (forced != nullptr && forced->Offers(turned, problem.recipe.options)) {
    EXPECT_EQ(report->implementation, forced->name()) << problem.recipe;
  }
  return outputs;
}

}  // namespace attention::test
