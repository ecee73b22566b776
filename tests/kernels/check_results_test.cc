// What Validate says of statistics, and of what has no meaning under a normalization.

#include "gtest/gtest.h"
#include "tests/kernels/rejection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::FullyMasked;
using kernels::Normalization;

ProblemRecipe StatisticsOf(DataType type) {
  ProblemRecipe recipe = FullRecipe();
  recipe.type = type;
  recipe.sinks = true;
  recipe.statistics = StatisticsRecipe::All(3);
  return recipe;
}

TEST(CheckResultsTest, RejectsStatisticsOfWrongShapeOrType) {
  const Rejection rejections[] = {
      {"log-sum-exp type",
       [](Call& c) { c.outputs.log_sum_exp.type = DataType::kBF16; },
       {"log_sum_exp.type", "BF16", "F32"}},
      {"log-sum-exp queries",
       [](Call& c) { c.outputs.log_sum_exp.extents[2] = 4; },
       {"log_sum_exp.extents", "[2, 4, 4, 1]", "[2, 4, 3, 1]"}},
      {"entropy columns",
       [](Call& c) { c.outputs.entropy.extents[3] = 5; },
       {"entropy.extents", "[2, 4, 3, 5]", "[2, 4, 3, 1]"}},
      {"maximum strides",
       [](Call& c) { c.outputs.maximum_weight.strides[2] = 2; },
       {"maximum_weight.strides"}},
      {"mass rows",
       [](Call& c) { c.outputs.key_mass.extents[2] = 3; },
       {"key_mass.extents", "[2, 4, 3, 5]", "[2, 4, 1, 5]"}},
      {"top count",
       [](Call& c) { c.outputs.top_weights.count = 2; },
       {"top_weights.weights.extents", "[2, 4, 3, 3]", "[2, 4, 3, 2]"}},
      {"negative top count",
       [](Call& c) { c.outputs.top_weights.count = -1; },
       {"top_weights.count", "got -1", "between 0 and 256"}},
      {"great top count",
       [](Call& c) { c.outputs.top_weights.count = 257; },
       {"top_weights.count", "got 257", "between 0 and 256"}},
      {"too many keys to number",
       [](Call& c) {
         for (auto* view : {&c.problem.key, &c.problem.value}) {
           view->extents[2] = int64_t{1} << 31;
           view->strides[2] = 0;
         }
         c.problem.boolean_mask = c.problem.additive_mask = {};
         c.outputs.weights = c.outputs.key_mass = {};
         c.options.scores = kernels::ScoresOutput::kNone;
       },
       {"top_weights", "2147483648 keys", "at most 2147483647"}},
      {"no top keys",
       [](Call& c) { c.outputs.top_weights.keys = nullptr; },
       {"top_weights.keys", "null"}},
      {"no top weights",
       [](Call& c) { c.outputs.top_weights.weights.data = nullptr; },
       {"top_weights.weights.data", "null"}},
  };
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    for (const Rejection& rejection : rejections) ExpectRejected(StatisticsOf(type), rejection);
  }
  ExpectRejected(StatisticsOf(DataType::kF64),
                 {"F64 entropy",
                  [](Call& c) { c.outputs.entropy.type = DataType::kF32; },
                  {"entropy.type", "F32", "F64"}});
}

// Each alone beside the normalization, so that each must be named.
TEST(CheckResultsTest, WhatDescribesRowsIsOfferedWithTheSoftmaxOverKeysAlone) {
  const struct {
    const char* field;
    void (*ask)(ProblemRecipe&);
  } features[] = {
      {"sinks", [](ProblemRecipe& r) { r.sinks = true; }},
      {"fully_masked", [](ProblemRecipe& r) { r.options.fully_masked = FullyMasked::kUniform; }},
      {"fully_masked", [](ProblemRecipe& r) { r.options.fully_masked = FullyMasked::kNan; }},
      {"log_sum_exp", [](ProblemRecipe& r) { r.statistics.log_sum_exp = true; }},
      {"entropy", [](ProblemRecipe& r) { r.statistics.entropy = true; }},
      {"maximum_weight", [](ProblemRecipe& r) { r.statistics.maximum_weight = true; }},
      {"key_mass", [](ProblemRecipe& r) { r.statistics.key_mass = true; }},
      {"top_weights", [](ProblemRecipe& r) { r.statistics.top_count = 2; }},
  };
  for (const auto& feature : features) {
    ProblemRecipe recipe = FullRecipe();
    feature.ask(recipe);
    for (const auto& [normalization, text] :
         {std::pair(Normalization::kSoftmaxOverQueries, "over queries"),
          std::pair(Normalization::kNone, "none")}) {
      ExpectRejected(recipe, {feature.field,
                              [&](Call& c) { c.options.normalization = normalization; },
                              {feature.field, "normalization", text},
                              absl::StatusCode::kUnimplemented});
    }
  }
}

}  // namespace
}  // namespace attention::test
