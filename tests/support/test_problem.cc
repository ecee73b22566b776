#include "tests/support/test_problem.h"

#include <limits>

#include "gtest/gtest.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/random.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Extents;
using kernels::ScoreKind;

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
  problem.query_offset = recipe.causal_offset.value_or(0);
  problem.key_lengths = key_lengths;
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
}

kernels::AttentionOutputs TestOutputs::View() {
  kernels::AttentionOutputs outputs;
  outputs.output = output.mutable_view();
  outputs.weights = weights.mutable_view();
  outputs.scores = scores.mutable_view();
  return outputs;
}

bool TestOutputs::GuardsIntact() const {
  return output.GuardsIntact() && weights.GuardsIntact() && scores.GuardsIntact();
}

bool TestOutputs::SameBitsAs(const TestOutputs& other) const {
  return output.storage() == other.output.storage() &&
         weights.storage() == other.weights.storage() && scores.storage() == other.scores.storage();
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
  if (forced != nullptr && forced->Offers(view, problem.recipe.options)) {
    EXPECT_EQ(report->implementation, forced->name()) << problem.recipe;
  }
  return outputs;
}

}  // namespace attention::test
