// Counts allocations: a repeated projection makes none but oneDNN's small ones, which lists the
// operands of each product of a batch in memory of its own; and one for which there is no memory
// says so.

#include <chrono>
#include <thread>

#include "gtest/gtest.h"
#include "kernels/projection.h"
#include "tests/kernels/test_projection.h"
#include "tests/support/allocations.h"
#include "tests/support/status_matchers.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;

// Larger than oneDNN's list of operands; smaller than any working set.
constexpr size_t kLeastBytes = 1024;

class ProjectionAllocationTest : public testing::TestWithParam<NumberKind> {};

TEST_P(ProjectionAllocationTest, ARepeatedProjectionAllocatesNothing) {
  if (!CountsAllocations()) GTEST_SKIP() << "sanitizers have an allocator of their own";
  TestProjection test({.kind = GetParam(),
                       .row_count = 100,
                       .input_width = 300,
                       .output_widths = {100, 60},
                       .with_bias = true});
  test.input.Set(0, 0, 5, 5, 0x1p-100);  // a row that cannot be split
  const kernels::ProjectionMaps maps = test.Maps();
  const kernels::ProjectionRows rows = test.Rows();
  const int64_t before_packing = AllocationCount(kLeastBytes);
  const auto packed = kernels::PackedProjection::Pack(maps);
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_GT(AllocationCount(kLeastBytes), before_packing);  // the count counts
  bool ok = true;
  const auto run_both = [&] {
    ok = (*packed)->Apply(rows).ok() && kernels::Project(maps, rows).ok();
  };
  run_both();
  const int64_t before = AllocationCount(kLeastBytes);
  for (int repetition = 0; repetition < 10; ++repetition) run_both();
  const int64_t after = AllocationCount(kLeastBytes);
  EXPECT_TRUE(ok);
  EXPECT_EQ(after - before, 0);
}

TEST_P(ProjectionAllocationTest, OneWithoutMemorySaysSo) {
  if (!CountsAllocations()) GTEST_SKIP() << "sanitizers have an allocator of their own";
  TestProjection test({.kind = GetParam(),
                       .row_count = 100,
                       .input_width = 300,
                       .output_widths = {100, 60},
                       .with_bias = true});
  const kernels::ProjectionMaps maps = test.Maps();
  const kernels::ProjectionRows rows = test.Rows();
  ASSERT_THAT(kernels::Project(maps, rows).status(), IsOk());  // matrix kernels are made
  // With so many allocations granted, on threads that keep nothing yet. Returns whether that was
  // enough.
  const auto project_within = [&](int64_t granted_count) {
    absl::Status status;
    bool failed = false;
    std::thread([&] {
      ThreadExecutor executor(2);
      const FailingAllocations failing(kLeastBytes, granted_count);
      const auto packed = kernels::PackedProjection::Pack(maps, {.executor = &executor});
      status = packed.status();
      if (status.ok()) status = (*packed)->Apply(rows, {.executor = &executor}).status();
      if (status.ok()) status = kernels::Project(maps, rows, {.executor = &executor}).status();
      failed = failing.any();
    }).join();
    EXPECT_THAT(status,
                HasCode(failed ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kOk));
    return !failed;
  };
  constexpr int64_t kMostGranted = 100;
  bool enough = false;
  for (int64_t granted = 0; granted < kMostGranted && !enough; ++granted) {
    enough = project_within(granted);
  }
  EXPECT_TRUE(enough);
}

// What decides between f32 and six products has an answer for some time, then it measures again.
TEST(ProjectionProbeTest, OneWithoutMemorySaysSo) {
  if (!CountsAllocations()) GTEST_SKIP() << "sanitizers have an allocator of their own";
  TestProjection test({.kind = {DataType::kF32, Precision::kF32GradeFastest},
                       .row_count = 100,
                       .input_width = 300,
                       .output_widths = {100}});
  const kernels::ProjectionMaps maps = test.Maps();
  const kernels::ProjectionRows rows = test.Rows();
  for (const bool packs : {false, true}) {
    ASSERT_THAT(kernels::Project(maps, rows).status(), IsOk());  // matrix kernels are made
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
    absl::Status status;
    std::thread([&] {
      const FailingAllocations failing(kLeastBytes, /*granted_count=*/0);
      status = packs ? kernels::PackedProjection::Pack(maps).status()
                     : kernels::Project(maps, rows).status();
    }).join();
    EXPECT_THAT(status, HasCode(absl::StatusCode::kResourceExhausted));
  }
}

INSTANTIATE_TEST_SUITE_P(Types, ProjectionAllocationTest,
                         testing::Values(NumberKind{DataType::kF32}, NumberKind{DataType::kF16},
                                         NumberKind{DataType::kBF16}, NumberKind{DataType::kF64},
                                         NumberKind{DataType::kF32, Precision::kBF16X6},
                                         NumberKind{DataType::kF32, Precision::kBF16X3},
                                         NumberKind{DataType::kF32, Precision::kBF16}),
                         [](const auto& kind) { return Name(kind.param); });

}  // namespace
}  // namespace attention::test
