// Counts allocations: a repeated projection makes none but oneDNN's small ones, which lists the
// operands of each product of a batch in memory of its own.

#include <atomic>
#include <cstdlib>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/projection.h"
#include "tests/kernels/test_projection.h"
#include "tests/support/status_matchers.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ATTENTION_COUNTS_ALLOCATIONS 0  // sanitizers have an allocator of their own
#else
#define ATTENTION_COUNTS_ALLOCATIONS 1

// The C library's own, under names that are not replaced.
extern "C" void* __libc_malloc(size_t bytes);
extern "C" void* __libc_memalign(size_t alignment_bytes, size_t bytes);

namespace {
std::atomic<int64_t> allocation_count = 0;

// Larger than oneDNN's list of the largest batch; smaller than any working set.
constexpr size_t kLeastBytes = 8192;

void Count(size_t bytes) {
  if (bytes >= kLeastBytes) allocation_count.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace

// Replace the C library's for the whole program; operator new calls malloc.
extern "C" void* malloc(size_t bytes) noexcept {
  Count(bytes);
  return __libc_malloc(bytes);
}
extern "C" void* aligned_alloc(size_t alignment_bytes, size_t bytes) noexcept {
  Count(bytes);
  return __libc_memalign(alignment_bytes, bytes);
}
#endif

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;

class ProjectionAllocationTest : public testing::TestWithParam<NumberKind> {};

TEST_P(ProjectionAllocationTest, ARepeatedProjectionAllocatesNothing) {
#if ATTENTION_COUNTS_ALLOCATIONS
  TestProjection test({.kind = GetParam(),
                       .row_count = 100,
                       .input_width = 300,
                       .output_widths = {100, 60},
                       .with_bias = true});
  test.input.Set(0, 0, 5, 5, 0x1p-100);  // a row that cannot be split
  const kernels::ProjectionMaps maps = test.Maps();
  const kernels::ProjectionRows rows = test.Rows();
  const int64_t before_packing = allocation_count;
  const auto packed = kernels::PackedProjection::Pack(maps);
  ASSERT_TRUE(packed.ok()) << packed.status();
  ASSERT_GT(allocation_count, before_packing);  // the count counts
  bool ok = true;
  const auto run_both = [&] {
    ok = (*packed)->Apply(rows).ok() && kernels::Project(maps, rows).ok();
  };
  run_both();
  const int64_t before = allocation_count;
  for (int repetition = 0; repetition < 10; ++repetition) run_both();
  const int64_t after = allocation_count;
  EXPECT_TRUE(ok);
  EXPECT_EQ(after - before, 0);
#else
  GTEST_SKIP() << "sanitizers have an allocator of their own";
#endif
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
