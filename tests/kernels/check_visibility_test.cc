// What Validate says of masks, positions, lengths, windows, segments and blocks.

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/kernels/rejection.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"

namespace attention::test {
namespace {

using kernels::DataType;

// Of two batch entries, 3 queries and 5 keys.
ProblemRecipe HidingRecipe() {
  ProblemRecipe recipe = FullRecipe();
  recipe.causal_offset = 1;
  recipe.query_offsets = true;
  recipe.prefix_lengths = true;
  recipe.left_window = 2;
  recipe.right_window = 0;
  recipe.segments = SegmentRecipe{};
  recipe.block_mask = BlockMaskRecipe{.query_block_size = 2, .key_block_size = 3};
  return recipe;
}

TEST(CheckVisibilityTest, RejectsPositionsThatContradict) {
  static const std::vector<int64_t> one = {1};
  static const std::vector<int64_t> too_long = {5, 6};
  static const std::vector<int64_t> negative = {-1, 0};
  const Rejection rejections[] = {
      {"few offsets",
       [](Call& c) { c.problem.query_offsets = one; },
       {"query_offsets", "1 offsets", "2 as query.extents[0]"}},
      {"few prefixes",
       [](Call& c) { c.problem.prefix_lengths = one; },
       {"prefix_lengths", "1 lengths", "2 as query.extents[0]"}},
      {"long prefix",
       [](Call& c) { c.problem.prefix_lengths = too_long; },
       {"prefix_lengths[1]", "got 6", "between 0 and 5"}},
      {"negative prefix",
       [](Call& c) { c.problem.prefix_lengths = negative; },
       {"prefix_lengths[0]", "got -1", "between 0 and 5"}},
      {"prefixes without causality",
       [](Call& c) { c.problem.causal = false; },
       {"prefix_lengths", "without causal"}},
      {"left window",
       [](Call& c) { c.problem.left_window = -1; },
       {"left_window", "got -1", ">= 0"}},
      {"right window",
       [](Call& c) { c.problem.right_window = -7; },
       {"right_window", "got -7", ">= 0"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(HidingRecipe(), rejection);
}

TEST(CheckVisibilityTest, RejectsSegmentsAndBlocksThatDoNotFit) {
  const Rejection rejections[] = {
      {"no query segments",
       [](Call& c) { c.problem.query_segments = {}; },
       {"query_segments", "0 segments", "6 as query.extents[0] * query.extents[2]",
        "key_segments"}},
      {"no key segments",
       [](Call& c) { c.problem.key_segments = {}; },
       {"key_segments", "0 segments", "10 as key.extents[0] * key.extents[2]", "query_segments"}},
      {"few key segments",
       [](Call& c) { c.problem.key_segments = c.problem.key_segments.first(9); },
       {"key_segments", "9 segments", "10"}},
      {"query block size",
       [](Call& c) { c.problem.block_mask.query_block_size = 0; },
       {"block_mask.query_block_size", "got 0", "> 0"}},
      {"key block size",
       [](Call& c) { c.problem.block_mask.key_block_size = -4; },
       {"block_mask.key_block_size", "got -4", "> 0"}},
      {"block type",
       [](Call& c) { c.problem.block_mask.mask.type = DataType::kF32; },
       {"block_mask.mask.type", "F32", "BOOL"}},
      {"query blocks",
       [](Call& c) { c.problem.block_mask.query_block_size = 3; },
       {"block_mask.mask.extents", "[2, 4, 2, 2]", "[2, 4, 1, 2]"}},
      {"key blocks",
       [](Call& c) { c.problem.block_mask.key_block_size = INT64_MAX; },
       {"block_mask.mask.extents", "[2, 4, 2, 2]", "[2, 4, 2, 1]"}},
  };
  for (const Rejection& rejection : rejections) ExpectRejected(HidingRecipe(), rejection);
}

TEST(CheckVisibilityTest, AcceptsWindowsAndBlocksWithoutEnd) {
  const TestProblem problem(HidingRecipe());
  TestOutputs outputs(problem.recipe);
  kernels::AttentionProblem view = problem.View();
  view.left_window = view.right_window = INT64_MAX;
  view.query_offset = INT64_MIN;
  view.query_offsets = {};
  view.block_mask.query_block_size = view.block_mask.key_block_size = INT64_MAX;
  view.block_mask.mask.extents = {2, 4, 1, 1};
  EXPECT_THAT(Validate(view, problem.recipe.options, outputs.View()), IsOk());
}

}  // namespace
}  // namespace attention::test
