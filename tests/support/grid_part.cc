#include "tests/support/grid_part.h"

#include "gtest/gtest.h"
#include "tests/support/matches_reference.h"
#include "tests/support/sanitized.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

// What sanitizers look for shows in a sample of the grid, and they make the oracle many times
// slower.
constexpr size_t kCheckOneOf = kSanitized ? 8 : 1;

}  // namespace

void CheckGridPart(const std::vector<ProblemRecipe>& recipes, int part, int part_count) {
  const size_t step = static_cast<size_t>(part_count) * kCheckOneOf;
  for (size_t i = static_cast<size_t>(part); i < recipes.size(); i += step) {
    const TestProblem problem(recipes[i]);
    const TestOutputs outputs = MustAttend(problem);
    EXPECT_TRUE(MatchesReference(problem, outputs))
        << "computed by " << outputs.report.implementation;
  }
}

}  // namespace attention::test
