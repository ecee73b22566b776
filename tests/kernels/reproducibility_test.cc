// The same bits however the work is divided, and an early end when it is asked for.

#include <algorithm>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Normalization;
using kernels::Precision;

struct Numbers {
  DataType type;
  Precision precision = Precision::kF32;
};
constexpr Numbers kNumbers[] = {{DataType::kF32},
                                {DataType::kF32, Precision::kBF16X6},
                                {DataType::kF32, Precision::kBF16X3},
                                {DataType::kF32, Precision::kBF16},
                                {DataType::kF16},
                                {DataType::kBF16},
                                {DataType::kF64}};

// Of all types, with and without what makes tiles differ in size.
std::vector<ProblemRecipe> Recipes() {
  std::vector<ProblemRecipe> recipes;
  for (const Numbers& numbers : kNumbers) {
    ProblemRecipe recipe;
    recipe.batch = 3;
    recipe.query_head_count = 4;
    recipe.key_value_head_count = 2;
    recipe.query_count = 70;
    recipe.key_count = 333;
    recipe.key_width = 32;
    recipe.value_width = 48;
    recipe.type = numbers.type;
    recipe.options.precision = numbers.precision;
    recipe.weights = true;
    recipes.push_back(recipe);
    recipe.weights = false;
    recipe.causal_offset = 260;
    recipe.boolean_mask = MaskRecipe{.hidden_share = 0.2};
    recipes.push_back(recipe);
    recipe.query_count = 1;
    recipes.push_back(recipe);
    recipe.query_count = 70;
    recipe.options.normalization = Normalization::kSoftmaxOverQueries;
    recipes.push_back(recipe);
    recipe.options.normalization = Normalization::kSoftmaxOverKeys;
    recipe.left_window = 200;
    recipe.alibi = true;
    recipe.sinks = recipe.temperatures = true;
    recipe.options.softcap = 20;
    recipe.statistics = StatisticsRecipe::All(7);
    recipes.push_back(recipe);
    recipe.query_count = 1;
    recipes.push_back(recipe);
  }
  return recipes;
}

TEST(ReproducibilityTest, TheNumberOfThreadsChangesNoBit) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    const TestOutputs alone = MustAttend(problem);
    EXPECT_EQ(alone.report.thread_count, 1);
    for (const int thread_count : {1, 2, 4}) {
      ThreadExecutor executor(thread_count);
      const TestOutputs together = MustAttend(problem, {.executor = &executor});
      EXPECT_TRUE(together.SameBitsAs(alone)) << thread_count << " threads, " << recipe;
      EXPECT_LE(together.report.thread_count, thread_count);
    }
  }
}

TEST(ReproducibilityTest, AnEntryAloneHasTheBitsThatItHasInABatch) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem together(recipe);
    const TestOutputs want = MustAttend(together);
    ProblemRecipe single = recipe;
    single.batch = 1;
    for (int64_t batch = 0; batch < recipe.batch; ++batch) {
      TestProblem alone(single);
      const auto copy = [&](const TestTensor& source, TestTensor& target) {
        for (int64_t h = 0; h < target.extents()[1]; ++h) {
          for (int64_t r = 0; r < target.extents()[2]; ++r) {
            for (int64_t c = 0; c < target.extents()[3]; ++c)
              target.Set(0, h, r, c, source.At(batch, h, r, c));
          }
        }
      };
      copy(together.query, alone.query);
      copy(together.key, alone.key);
      copy(together.value, alone.value);
      if (together.boolean_mask.present()) copy(together.boolean_mask, alone.boolean_mask);
      alone.sinks = together.sinks;
      alone.temperatures = together.temperatures;
      alone.alibi_slopes = together.alibi_slopes;
      const auto copy_row = [&](const std::vector<int32_t>& source, std::vector<int32_t>& target) {
        const auto first = source.begin() + batch * static_cast<int64_t>(target.size());
        std::copy_n(first, target.size(), target.begin());
      };
      copy_row(together.query_segments, alone.query_segments);
      copy_row(together.key_segments, alone.key_segments);
      const TestOutputs got = MustAttend(alone);
      for (int64_t head = 0; head < recipe.query_head_count; ++head) {
        for (int64_t i = 0; i < recipe.query_count; ++i) {
          ASSERT_EQ(got.output.RowBytes(0, head, i), want.output.RowBytes(batch, head, i))
              << recipe;
          if (!want.log_sum_exp.present()) continue;
          ASSERT_EQ(got.log_sum_exp.RowBytes(0, head, i),
                    want.log_sum_exp.RowBytes(batch, head, i))
              << recipe;
        }
      }
    }
  }
}

// Segments that are ranges of keys are no mask. Whether those of a neighbour are changes nothing.
TEST(ReproducibilityTest, NeighboursWithOtherSegmentsChangeNoBit) {
  for (ProblemRecipe recipe : Recipes()) {
    recipe.boolean_mask = std::nullopt;
    recipe.segments = SegmentRecipe{.contiguous = true};
    const TestProblem ranges(recipe);
    TestProblem scattered = ranges;
    for (size_t i = scattered.key_segments.size() / 3; i < scattered.key_segments.size(); ++i) {
      scattered.key_segments[i] = static_cast<int32_t>(i % 2);
    }
    const TestOutputs want = MustAttend(ranges);
    const TestOutputs got = MustAttend(scattered);
    for (int64_t head = 0; head < recipe.query_head_count; ++head) {
      for (int64_t i = 0; i < recipe.query_count; ++i) {
        ASSERT_EQ(got.output.RowBytes(0, head, i), want.output.RowBytes(0, head, i)) << recipe;
      }
    }
  }
}

TEST(ReproducibilityTest, TheSameCallTwiceGivesTheSameBits) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    EXPECT_TRUE(MustAttend(problem).SameBitsAs(MustAttend(problem))) << recipe;
  }
}

TEST(StopTest, AStopRequestedAtAnyTimeGivesCancelled) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    for (const int64_t ask_count : {1, 2, 3, 5}) {
      for (const int thread_count : {1, 2}) {
        ThreadExecutor executor(thread_count);
        const StopAfter stop(ask_count);
        TestOutputs outputs(recipe);
        EXPECT_THAT(kernels::Attend(problem.View(), recipe.options, outputs.View(),
                                    {.executor = &executor, .stop = &stop}),
                    HasCode(absl::StatusCode::kCancelled))
            << ask_count << " asks, " << recipe;
        EXPECT_TRUE(outputs.GuardsIntact());
      }
    }
  }
}

TEST(StopTest, AStopThatIsNeverRequestedChangesNothing) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    const StopAfter never(int64_t{1} << 62);
    EXPECT_TRUE(MustAttend(problem, {.stop = &never}).SameBitsAs(MustAttend(problem))) << recipe;
  }
}

}  // namespace
}  // namespace attention::test
