// In the steady state nothing is allocated, on any thread; and where there is no memory, a call
// says so.

#include <malloc.h>

#include <atomic>
#include <limits>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/attend.h"
#include "tests/support/allocations.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_problem.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;

// Everything that a call makes tables for.
void AskForOptions(ProblemRecipe& recipe) {
  recipe.query_offsets = true;
  recipe.prefix_lengths = true;
  recipe.left_window = 300;
  recipe.segments = SegmentRecipe{.contiguous = true};
  recipe.alibi = true;
  recipe.bucketed_bias = BucketedBiasRecipe{};
  recipe.sinks = recipe.temperatures = recipe.head_factors = true;
  recipe.options.softcap = 20;
  recipe.options.fully_masked = kernels::FullyMasked::kUniform;
  recipe.statistics = StatisticsRecipe::All(20);
}

std::vector<ProblemRecipe> Recipes(DataType type) {
  ProblemRecipe recipe;
  recipe.type = type;
  recipe.batch = 2;
  recipe.query_head_count = 4;
  recipe.key_value_head_count = 2;
  recipe.query_count = 150;
  recipe.key_count = 700;
  recipe.key_width = 40;
  recipe.value_width = 48;
  ProblemRecipe without_masks = recipe;
  AskForOptions(without_masks);
  without_masks.causal_offset = 550;
  std::vector<ProblemRecipe> recipes = {recipe, without_masks};
  recipe.causal_offset = 550;
  recipe.key_lengths = true;
  recipe.boolean_mask = MaskRecipe{.broadcast = {false, true, false, true}};
  recipe.additive_mask = MaskRecipe{.type = DataType::kF64};
  recipe.weights = true;
  recipe.options.scores = kernels::ScoresOutput::kMasked;
  recipes.push_back(recipe);
  recipe.weights = false;
  recipe.options.scores = kernels::ScoresOutput::kNone;
  recipe.query_count = 3;  // decoding
  recipes.push_back(recipe);
  AskForOptions(recipe);
  recipe.segments = SegmentRecipe{.contiguous = false};
  recipe.block_mask = BlockMaskRecipe{.query_block_size = 16, .key_block_size = 64};
  recipes.push_back(recipe);
  recipe.statistics = {.log_sum_exp = true};
  recipes.push_back(recipe);
  recipe.query_count = 150;
  recipe.statistics = StatisticsRecipe::All(20);
  recipes.push_back(recipe);
  recipe.rotary = kernels::RotaryEmbedding{.width = 32};
  recipes.push_back(recipe);
  recipe.query_count = 150;
  recipes.push_back(recipe);
  return recipes;
}

// Larger than oneDNN's lists of operands, smaller than a working set.
constexpr size_t kLeastBytes = 1024;

// Allocations of ten calls after a few.
int64_t SteadyAllocations(const TestProblem& problem, kernels::Executor* executor) {
  TestOutputs outputs(problem.recipe);
  const kernels::AttentionProblem view = problem.View();
  const kernels::AttentionOutputs output_views = outputs.View();
  bool ok = true;
  const auto attend = [&] {
    ok &= kernels::Attend(view, problem.recipe.options, output_views, {.executor = executor}).ok();
  };
  for (int warm_up = 0; warm_up < 3; ++warm_up) attend();
  const int64_t before = AllocationCount(kLeastBytes);
  for (int repetition = 0; repetition < 10; ++repetition) attend();
  const int64_t after = AllocationCount(kLeastBytes);
  EXPECT_TRUE(ok);
  return after - before;
}

// Lets a thread that keeps nothing yet compute, with so many allocations granted. Returns whether
// that was enough.
bool AttendWithin(int64_t granted_count, const TestProblem& problem, int thread_count) {
  TestOutputs outputs(problem.recipe);
  const kernels::AttentionProblem view = problem.View();
  const kernels::AttentionOutputs output_views = outputs.View();
  absl::Status status;
  bool failed = false;
  std::thread([&] {
    ThreadExecutor executor(thread_count);
    const FailingAllocations failing(kLeastBytes, granted_count);
    status = kernels::Attend(view, problem.recipe.options, output_views, {.executor = &executor})
                 .status();
    failed = failing.any();
  }).join();
  EXPECT_TRUE(outputs.GuardsIntact());
  if (failed) {
    EXPECT_THAT(status, HasCode(absl::StatusCode::kResourceExhausted));
  } else {
    EXPECT_THAT(status, IsOk());
  }
  return !failed;
}

class AttendAllocationTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!CountsAllocations()) GTEST_SKIP() << "sanitizers have an allocator of their own";
    // AllocatedBytes sees large allocations of other threads only outside their arenas.
    constexpr int kLargeBytes = 1 << 17;
    ASSERT_EQ(mallopt(M_MMAP_THRESHOLD, kLargeBytes), 1);
  }
};

class AttendSteadyAllocationTest : public AttendAllocationTest {
 protected:
  void SetUp() override {
    AttendAllocationTest::SetUp();
    if (ForcedToFloat64()) GTEST_SKIP() << "made for small problems: allocates as it goes";
  }
};

TEST_F(AttendAllocationTest, TheCountCounts) {
  const int64_t before = AllocationCount(kLeastBytes);
  const TestOutputs outputs = MustAttend(TestProblem(Recipes(DataType::kF32)[0]));
  EXPECT_GT(AllocationCount(kLeastBytes), before);
}

TEST_F(AttendSteadyAllocationTest, ARepeatedCallAllocatesNothing) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16}) {
    for (const ProblemRecipe& recipe : Recipes(type)) {
      EXPECT_EQ(SteadyAllocations(TestProblem(recipe), nullptr), 0) << recipe;
    }
  }
}

TEST_F(AttendSteadyAllocationTest, NorDoesOneInSplitPrecision) {
  for (const Precision precision : {Precision::kBF16X6, Precision::kBF16X3, Precision::kBF16}) {
    for (ProblemRecipe recipe : Recipes(DataType::kF32)) {
      recipe.options.precision = precision;
      TestProblem problem(recipe);
      problem.key.Set(0, 0, 0, 0, 0x1p-100);  // some queries are computed in f32
      EXPECT_EQ(SteadyAllocations(problem, nullptr), 0) << recipe;
    }
  }
}

// Which thread first needs how much depends on who comes first, so that it is not every call at
// once that allocates nothing: memory that is kept stops growing.
TEST_F(AttendSteadyAllocationTest, ThreadsKeepTheirMemory) {
  ThreadExecutor executor(3);
  for (ProblemRecipe recipe : Recipes(DataType::kF32)) {
    recipe.query_count *= 4;  // packed by several threads, before the tiles
    const TestProblem problem(recipe);
    int64_t allocations = 1;
    for (int attempt = 0; attempt < 20 && allocations > 0; ++attempt) {
      allocations = SteadyAllocations(problem, &executor);
    }
    EXPECT_EQ(allocations, 0) << recipe;
  }
}

// Bytes that a new thread and its helpers, which still wait, keep after these calls.
int64_t KeptBytes(const std::vector<TestProblem>& problems, int thread_count) {
  std::vector<TestOutputs> outputs;
  for (const TestProblem& problem : problems) outputs.emplace_back(problem.recipe);
  for (const TestProblem& problem : problems) (void)MustAttend(problem);  // kernels are made
  int64_t kept = 0;
  std::thread([&] {
    ThreadExecutor executor(thread_count);
    const int64_t before = AllocatedBytes();
    for (size_t i = 0; i < problems.size(); ++i) {
      EXPECT_THAT(kernels::Attend(problems[i].View(), problems[i].recipe.options, outputs[i].View(),
                                  {.executor = &executor}),
                  IsOk());
    }
    kept = AllocatedBytes() - before;
  }).join();
  return kept;
}

// Beside packed operands, of which a thread keeps 64 MiB.
constexpr int64_t kMostWorkingBytes = int64_t{8} << 20;
constexpr int64_t kMostPackedBytes = int64_t{64} << 20;

// Each call packs some 50 MiB, for ever more heads.
TEST_F(AttendSteadyAllocationTest, MemoryThatIsKeptHasALimit) {
  constexpr int64_t kKeyElements = int64_t{50} << 18;
  std::vector<TestProblem> problems;
  for (const int64_t head_count : {1, 2, 4}) {
    ProblemRecipe recipe;
    recipe.query_head_count = recipe.key_value_head_count = head_count;
    recipe.query_count = 16;
    recipe.key_width = recipe.value_width = 64;
    recipe.key_count = kKeyElements / (2 * recipe.key_width * head_count);
    problems.emplace_back(recipe);
  }
  EXPECT_LT(KeptBytes(problems, 2), kMostPackedBytes + 2 * kMostWorkingBytes);
}

// Many heads that share many keys, whose mass a thread adds up.
TEST_F(AttendSteadyAllocationTest, SumsOfTheMassOfKeysAreNotKept) {
  ProblemRecipe recipe;
  recipe.query_head_count = 32;
  recipe.query_count = 1;
  recipe.key_count = (int64_t{1} << 18) + 1;  // what they are added to is given back, too
  recipe.statistics.key_mass = true;
  EXPECT_LT(KeptBytes({TestProblem(recipe)}, 1), kMostWorkingBytes);
}

// 10 MiB of outputs for each tile.
TEST_F(AttendSteadyAllocationTest, TilesOfVeryWideHeadsAreNotKept) {
  ProblemRecipe recipe;
  recipe.query_count = 128;
  recipe.key_count = 16;
  recipe.key_width = recipe.value_width = 20'480;
  EXPECT_LT(KeptBytes({TestProblem(recipe)}, 1), kMostWorkingBytes);
}

// 66 MiB of angles.
TEST_F(AttendSteadyAllocationTest, AnglesOfVeryWideRowsAreNotKept) {
  ProblemRecipe recipe;
  recipe.query_count = recipe.key_count = 1;
  recipe.key_width = 1 << 18;
  recipe.rotary = kernels::RotaryEmbedding{};
  EXPECT_LT(KeptBytes({TestProblem(recipe)}, 1), kMostWorkingBytes);
}

// 64 MiB of ranges, one for each query.
TEST_F(AttendSteadyAllocationTest, RangesOfVeryManySegmentsAreNotKept) {
  ProblemRecipe recipe;
  recipe.query_count = (1 << 22) + 1;
  recipe.key_count = recipe.key_width = recipe.value_width = 1;
  recipe.segments = SegmentRecipe{.contiguous = true};
  EXPECT_LT(KeptBytes({TestProblem(recipe)}, 1), kMostWorkingBytes);
}

// 32 MiB of queries that decoding gathers, and 16 MiB of the keys on their way into packed ones.
TEST_F(AttendSteadyAllocationTest, CopiesOfVeryWideRowsAreNotKept) {
  ProblemRecipe decoding;
  decoding.type = DataType::kF16;
  decoding.query_head_count = 32;
  decoding.query_count = decoding.key_count = 1;
  decoding.key_width = 1 << 18;
  decoding.value_width = 8;
  EXPECT_LT(KeptBytes({TestProblem(decoding)}, 1), kMostWorkingBytes);
  ProblemRecipe packing = decoding;
  packing.query_head_count = 1;
  packing.query_count = 9;
  packing.key_count = 16;
  const int64_t packed_bytes = packing.key_count * packing.key_width * int64_t{sizeof(float)};
  EXPECT_LT(KeptBytes({TestProblem(packing)}, 1), packed_bytes + kMostWorkingBytes);
}

// 40 or 80 MiB for each block of keys and values, which is packed again for what is not finite.
TEST_F(AttendSteadyAllocationTest, WhatIsPackedAgainIsNotKept) {
  ProblemRecipe recipe;
  recipe.query_count = 16;
  recipe.key_count = 512;
  recipe.key_width = recipe.value_width = 20'480;
  TestProblem problem(recipe);
  problem.value.Set(0, 0, 0, 0, std::numeric_limits<double>::quiet_NaN());
  EXPECT_LT(KeptBytes({problem}, 1), kMostPackedBytes + kMostWorkingBytes);
}

// Asked between tiles, while all that they need is there.
class PeakOfMemory final : public kernels::StopSignal {
 public:
  bool StopRequested() const override {
    const int64_t bytes = AllocatedBytes();
    int64_t peak = peak_.load();
    while (bytes > peak && !peak_.compare_exchange_weak(peak, bytes)) {
    }
    return false;
  }
  [[nodiscard]] int64_t bytes() const { return peak_; }

 private:
  mutable std::atomic<int64_t> peak_ = 0;
};

// Bytes that a new thread and its helpers allocate at most at a time.
int64_t PeakBytes(const TestProblem& problem, int thread_count) {
  TestOutputs outputs(problem.recipe);
  const PeakOfMemory peak;
  int64_t before = 0;
  std::thread([&] {
    ThreadExecutor executor(thread_count);
    before = AllocatedBytes();
    EXPECT_THAT(kernels::Attend(problem.View(), problem.recipe.options, outputs.View(),
                                {.executor = &executor, .stop = &peak}),
                IsOk());
  }).join();
  return peak.bytes() - before;
}

// Heads that are packed one a thread, heads that are packed first, and partial results.
TEST_F(AttendSteadyAllocationTest, ACallNeedsNoMoreThanTheEstimate) {
  ProblemRecipe many_heads;
  many_heads.batch = 12;
  many_heads.query_count = 257;  // several tiles, so that all blocks are kept
  many_heads.key_count = 12'000;
  many_heads.key_width = many_heads.value_width = 128;
  ProblemRecipe few_heads = many_heads;
  few_heads.batch = 2;
  ProblemRecipe few_queries;
  few_queries.batch = 4096;
  few_queries.query_head_count = few_queries.key_value_head_count = 8;
  few_queries.query_count = 1;
  few_queries.key_count = 1;
  few_queries.value_width = 256;
  ProblemRecipe with_statistics = few_queries;
  with_statistics.batch = 2;
  with_statistics.query_count = 8;
  with_statistics.key_count = 50'000;
  with_statistics.value_width = 8;
  with_statistics.statistics.entropy = true;
  for (const ProblemRecipe& recipe : {many_heads, few_heads, few_queries, with_statistics}) {
    const TestProblem problem(recipe);
    (void)MustAttend(problem);  // kernels are made
    for (const int thread_count : {1, 2, 3}) {
      const auto estimate = static_cast<int64_t>(kernels::EstimatePackedBytes(
          problem.View(), recipe.options, TestOutputs(recipe).View(), thread_count));
      const int64_t peak = PeakBytes(problem, thread_count);
      EXPECT_LT(peak, estimate + thread_count * kMostWorkingBytes) << recipe;
      if (thread_count > 1) continue;  // helpers may come too late to need any
      EXPECT_GT(peak, kMostWorkingBytes) << recipe;
      EXPECT_LT(estimate, 3 * peak / 2) << recipe;
    }
  }
}

TEST_F(AttendAllocationTest, ACallWithoutMemorySaysSo) {
  constexpr int64_t kMostGranted = 200;
  for (const DataType type : {DataType::kF32, DataType::kBF16, DataType::kF64}) {
    for (const ProblemRecipe& recipe : Recipes(type)) {
      const TestProblem problem(recipe);
      (void)MustAttend(problem);  // matrix kernels are made
      for (const int thread_count : {1, 2}) {
        bool enough = false;
        for (int64_t granted = 0; granted < kMostGranted && !enough; granted += 1 + granted / 8) {
          enough = AttendWithin(granted, problem, thread_count);
        }
        // In float64 there are more, of which the first are like the others.
        EXPECT_TRUE(enough || type == DataType::kF64 || ForcedToFloat64()) << recipe;
      }
    }
  }
}

}  // namespace
}  // namespace attention::test
