#include "tests/kernels/rejection.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"

namespace attention::test {

ProblemRecipe FullRecipe() {
  ProblemRecipe recipe;
  recipe.batch = 2;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = 3;
  recipe.key_count = 5;
  recipe.key_width = 6;
  recipe.value_width = 7;
  recipe.weights = true;
  recipe.options.scores = kernels::ScoresOutput::kRaw;
  recipe.boolean_mask = MaskRecipe{};
  recipe.additive_mask = MaskRecipe{};
  recipe.key_lengths = true;
  return recipe;
}

void ExpectRejected(const ProblemRecipe& recipe, const Rejection& rejection) {
  const TestProblem problem(recipe);
  TestOutputs outputs(recipe);
  const TestOutputs untouched = outputs;
  Call call = {problem.View(), recipe.options, outputs.View()};
  ASSERT_THAT(Validate(call.problem, call.options, call.outputs), IsOk()) << recipe;
  rejection.break_call(call);
  const absl::Status status = Validate(call.problem, call.options, call.outputs);
  ASSERT_THAT(status, HasCode(rejection.code)) << rejection.name;
  for (const std::string& part : rejection.message) {
    EXPECT_THAT(std::string(status.message().data(), status.message().size()),
                testing::HasSubstr(part))
        << rejection.name;
  }
  EXPECT_EQ(Attend(call.problem, call.options, call.outputs).status(), status) << rejection.name;
  EXPECT_TRUE(outputs.SameBitsAs(untouched)) << rejection.name;
}

}  // namespace attention::test
