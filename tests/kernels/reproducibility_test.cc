// The same bits however the work is divided, and an early end when it is asked for.

#include <algorithm>
#include <functional>
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

// Several tiles, blocks of keys and strips, with rests.
ProblemRecipe PlainRecipe(const Numbers& numbers) {
  ProblemRecipe recipe;
  recipe.batch = 3;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = 150;
  recipe.key_count = 601;
  recipe.key_width = 32;
  recipe.value_width = 48;
  recipe.type = numbers.type;
  recipe.options.precision = numbers.precision;
  return recipe;
}

// With what changes scores and hides keys, and with every statistic.
void AppendOptionRecipes(const Numbers& numbers, bool with_key_mass,
                         std::vector<ProblemRecipe>& recipes) {
  for (const int64_t query_count : {70, 3}) {
    ProblemRecipe recipe = PlainRecipe(numbers);
    recipe.query_count = query_count;
    recipe.key_count = 333;
    recipe.causal_offset = 200;
    recipe.query_offsets = recipe.prefix_lengths = recipe.key_lengths = true;
    recipe.left_window = 150;
    recipe.statistics = StatisticsRecipe::All(5);
    recipe.statistics.key_mass = with_key_mass;
    recipes.push_back(recipe);
    recipe.segments = SegmentRecipe{};
    recipe.block_mask = BlockMaskRecipe{.query_block_size = 16, .key_block_size = 16};
    recipe.alibi = recipe.sinks = recipe.temperatures = recipe.head_factors = true;
    recipe.bucketed_bias = BucketedBiasRecipe{};
    recipe.rotary = kernels::RotaryEmbedding{};
    recipe.options.softcap = 5.0;
    recipe.options.fully_masked = kernels::FullyMasked::kUniform;
    recipes.push_back(recipe);
  }
}

// Of all types, with and without what makes tiles differ in size.
std::vector<ProblemRecipe> Recipes() {
  std::vector<ProblemRecipe> recipes;
  for (const Numbers& numbers : kNumbers) {
    ProblemRecipe recipe = PlainRecipe(numbers);
    recipe.weights = true;
    recipes.push_back(recipe);
    recipe.weights = false;
    recipe.causal_offset = 451;
    recipe.boolean_mask = MaskRecipe{.hidden_share = 0.2};
    recipes.push_back(recipe);
    recipe.query_count = 1;
    recipes.push_back(recipe);
    recipe.query_count = 150;
    recipe.options.normalization = Normalization::kSoftmaxOverQueries;
    recipes.push_back(recipe);
    // The mass of keys fixes the height of tiles, which depends on the threads without it.
    for (const bool with_key_mass : {false, true}) {
      AppendOptionRecipes(numbers, with_key_mass, recipes);
    }
  }
  return recipes;
}

// Entry `batch` of a problem as a problem of its own.
TestProblem EntryAlone(const TestProblem& together, int64_t batch) {
  TestProblem alone = together;
  alone.recipe.batch = 1;
  const auto take = [batch](const TestTensor& source, Layout layout) {
    if (!source.present()) return TestTensor();
    TestTensor entry(source.type(),
                     {1, source.extents()[1], source.extents()[2], source.extents()[3]}, layout);
    for (int64_t h = 0; h < source.extents()[1]; ++h) {
      for (int64_t r = 0; r < source.extents()[2]; ++r) {
        for (int64_t c = 0; c < source.extents()[3]; ++c)
          entry.Set(0, h, r, c, source.At(batch, h, r, c));
      }
    }
    return entry;
  };
  for (TestTensor TestProblem::* operand :
       {&TestProblem::query, &TestProblem::key, &TestProblem::value}) {
    alone.*operand = take(together.*operand, together.recipe.layout);
  }
  for (TestTensor TestProblem::* mask :
       {&TestProblem::boolean_mask, &TestProblem::additive_mask, &TestProblem::block_mask}) {
    alone.*mask = take(together.*mask, Layout::kDense);
  }
  const auto slice = [&](auto& numbers) {
    if (numbers.empty()) return;
    const auto each = static_cast<ptrdiff_t>(numbers.size()) / together.recipe.batch;
    numbers = {numbers.begin() + batch * each, numbers.begin() + (batch + 1) * each};
  };
  slice(alone.query_offsets);
  slice(alone.prefix_lengths);
  slice(alone.key_lengths);
  slice(alone.query_segments);
  slice(alone.key_segments);
  return alone;
}

// Whether row `row` of entry `batch` of `together` is row `row` of the only entry of `alone`.
bool SameRow(const TestTensor& alone, const TestTensor& together, int64_t batch, int64_t head,
             int64_t row) {
  return !alone.present() || alone.RowBytes(0, head, row) == together.RowBytes(batch, head, row);
}

TEST(ReproducibilityTest, TheNumberOfThreadsChangesNoBit) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    const TestOutputs alone = MustAttend(problem);
    EXPECT_EQ(alone.report.thread_count, 1);
    for (const int thread_count : {1, 2, 4, 16}) {
      ThreadExecutor executor(thread_count);
      const TestOutputs together = MustAttend(problem, {.executor = &executor});
      EXPECT_TRUE(together.SameBitsAs(alone)) << thread_count << " threads, " << recipe;
      EXPECT_LE(together.report.thread_count, thread_count);
    }
  }
}

// So many queries that an entry alone would have lower tiles than it has beside others.
ProblemRecipe TallRecipe(const Numbers& numbers) {
  ProblemRecipe recipe = PlainRecipe(numbers);
  recipe.query_head_count = recipe.key_value_head_count = 5;
  recipe.query_count = 1500;
  recipe.key_count = 63;
  recipe.key_width = recipe.value_width = 16;
  recipe.alibi = true;
  recipe.statistics.key_mass = true;
  return recipe;
}

TEST(ReproducibilityTest, AnEntryAloneHasTheBitsThatItHasInABatch) {
  std::vector<ProblemRecipe> recipes = Recipes();
  for (const Numbers& numbers : kNumbers) recipes.push_back(TallRecipe(numbers));
  for (const ProblemRecipe& recipe : recipes) {
    const TestProblem together(recipe);
    const TestOutputs want = MustAttend(together);
    for (int64_t batch = 0; batch < recipe.batch; ++batch) {
      const TestOutputs got = MustAttend(EntryAlone(together, batch));
      for (int64_t head = 0; head < recipe.query_head_count; ++head) {
        for (int64_t i = 0; i < recipe.query_count; ++i) {
          ASSERT_TRUE(SameRow(got.output, want.output, batch, head, i)) << recipe;
          ASSERT_TRUE(SameRow(got.log_sum_exp, want.log_sum_exp, batch, head, i)) << recipe;
          ASSERT_TRUE(SameRow(got.entropy, want.entropy, batch, head, i)) << recipe;
          ASSERT_TRUE(SameRow(got.maximum_weight, want.maximum_weight, batch, head, i)) << recipe;
          ASSERT_TRUE(SameRow(got.top_weights, want.top_weights, batch, head, i)) << recipe;
        }
        ASSERT_TRUE(SameRow(got.key_mass, want.key_mass, batch, head, 0)) << recipe;
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

// Where the rows of a tile begin to see moves with what one of them sees.
TEST(ReproducibilityTest, WhatOtherQueriesSeeChangesNoBit) {
  for (const Numbers& numbers : kNumbers) {
    ProblemRecipe recipe = PlainRecipe(numbers);
    recipe.batch = 1;
    recipe.query_count = 90;  // of two heads of a group: one tile in f32
    recipe.segments = SegmentRecipe{.contiguous = true};
    TestProblem problem(recipe);
    constexpr int64_t kOthers = 20;
    constexpr int64_t kKeysOfOthers = 101;
    for (int64_t j = 0; j < recipe.key_count; ++j)
      problem.key_segments[static_cast<size_t>(j)] = j < kKeysOfOthers ? 0 : 1;
    for (int64_t i = 0; i < recipe.query_count; ++i)
      problem.query_segments[static_cast<size_t>(i)] = i < kOthers ? 0 : 1;
    const TestOutputs want = MustAttend(problem);
    std::fill_n(problem.query_segments.begin(), kOthers, 2);  // which no key has
    const TestOutputs got = MustAttend(problem);
    for (int64_t head = 0; head < recipe.query_head_count; ++head) {
      for (int64_t i = kOthers; i < recipe.query_count; ++i)
        ASSERT_TRUE(SameRow(got.output, want.output, 0, head, i)) << recipe << i;
    }
  }
}

TEST(ReproducibilityTest, TheSameCallTwiceGivesTheSameBits) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    EXPECT_TRUE(MustAttend(problem).SameBitsAs(MustAttend(problem))) << recipe;
  }
}

// Lends no thread, and has the calling one serve another call before each of the first items.
class InterruptingExecutor final : public kernels::Executor {
 public:
  InterruptingExecutor(int thread_count, const std::function<void()>& serve_another)
      : thread_count_(thread_count), serve_another_(serve_another) {}

  int Run(int64_t item_count, absl::FunctionRef<void(int64_t)> work) override {
    constexpr int64_t kInterruptedItems = 2;
    for (int64_t item = 0; item < item_count; ++item) {
      if (item < kInterruptedItems) serve_another_();
      work(item);
    }
    return 1;
  }
  int thread_count() const override { return thread_count_; }

 private:
  const int thread_count_;
  const std::function<void()>& serve_another_;
};

TEST(ReproducibilityTest, AnotherCallOfTheThreadBetweenItemsChangesNoBit) {
  for (const ProblemRecipe& recipe : Recipes()) {
    const TestProblem problem(recipe);
    const TestOutputs alone = MustAttend(problem);
    ProblemRecipe other_recipe = recipe;
    other_recipe.seed += 1;
    other_recipe.batch = 2;
    other_recipe.query_count = (recipe.query_count + 3) / 4;
    other_recipe.key_count = 90;
    if (other_recipe.rotary.has_value()) other_recipe.rotary->base = 50;
    const TestProblem other(other_recipe);
    const TestOutputs other_alone = MustAttend(other);
    const std::function<void()> serve_other = [&] {
      ASSERT_TRUE(MustAttend(other).SameBitsAs(other_alone)) << other_recipe;
    };
    for (const int thread_count : {1, 16}) {
      InterruptingExecutor executor(thread_count, serve_other);
      const TestOutputs interrupted = MustAttend(problem, {.executor = &executor});
      ASSERT_TRUE(interrupted.SameBitsAs(alone)) << thread_count << " " << recipe;
    }
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
