// Grids of recipes, checked in parts that can run at the same time.

#ifndef ATTENTION_TESTS_SUPPORT_GRID_PART_H_
#define ATTENTION_TESTS_SUPPORT_GRID_PART_H_

#include <vector>

#include "tests/support/problem_recipe.h"

namespace attention::test {

// Computes every part_count-th recipe from `part` on and compares it with the oracle; under a
// sanitizer one in eight of these. Failures are GoogleTest's.
void CheckGridPart(const std::vector<ProblemRecipe>& recipes, int part, int part_count);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_GRID_PART_H_
