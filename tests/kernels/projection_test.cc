#include "kernels/projection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/kernels/test_projection.h"
#include "tests/support/implementation_under_test.h"
#include "tests/support/pairwise.h"
#include "tests/support/status_matchers.h"
#include "tests/support/thread_executor.h"

// Under a sanitizer, an allocation that cannot be had must fail as it does without one, instead of
// ending the program.
extern "C" {
const char* __asan_default_options();  // NOLINT: the sanitizers' names
const char* __tsan_default_options();  // NOLINT

const char* __asan_default_options() { return "allocator_may_return_null=1"; }
const char* __tsan_default_options() { return "allocator_may_return_null=1"; }
}

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;
using kernels::Project;
using testing::HasSubstr;

class ProjectionTest : public testing::TestWithParam<NumberKind> {};

TEST_P(ProjectionTest, MatchesTheProductInFloat64) {
  constexpr int64_t kRows[] = {0, 1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 127, 129, 200};
  constexpr int64_t kWidths[] = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 129, 256};
  const auto combinations =
      PairwiseCombinations({14, 16, 16, 2}, [](const Combination&) { return true; }, 3);
  for (const Combination& values : combinations) {
    TestProjection test({.kind = GetParam(),
                         .row_count = kRows[values[0]],
                         .input_width = kWidths[values[1]],
                         .output_widths = {kWidths[values[2]]},
                         .with_bias = values[3] != 0});
    ASSERT_THAT(test.Run(), IsOk());
    ASSERT_TRUE(test.MatchesFloat64()) << test.recipe;
    ASSERT_TRUE(test.GuardsIntact()) << test.recipe;
  }
}

// Beyond what one kernel call, and what one preparation of rows and panels, takes.
TEST_P(ProjectionTest, MatchesTheProductInFloat64ForVeryWideInputs) {
  for (const int64_t input_width : {1023, 1025, 4096, 4097, 5003}) {
    TestProjection test({.kind = GetParam(),
                         .row_count = 67,
                         .input_width = input_width,
                         .output_widths = {66},
                         .with_bias = true});
    ASSERT_THAT(test.Run(), IsOk());
    ASSERT_TRUE(test.MatchesFloat64()) << test.recipe;
    TestProjection packed(test.recipe);
    ASSERT_THAT(packed.RunPacked(), IsOk());
    EXPECT_TRUE(SameOutputs(packed, test)) << test.recipe;
  }
}

TEST_P(ProjectionTest, ReadsNoWeightForNoRows) {
  TestProjection test({.kind = GetParam(), .row_count = 0, .input_width = 4, .output_widths = {5}});
  kernels::ProjectionMap unreadable = test.Maps().maps[0];
  unreadable.weight = reinterpret_cast<const void*>(uintptr_t{64});
  kernels::ProjectionMaps maps = test.Maps();
  maps.maps = {&unreadable, 1};
  ThreadExecutor executor(2);
  EXPECT_THAT(Project(maps, test.Rows()).status(), IsOk());
  EXPECT_THAT(Project(maps, test.Rows(), {.executor = &executor}).status(), IsOk());
}

TEST_P(ProjectionTest, SaysWhichProductsItComputed) {
  TestProjection test({.kind = GetParam(), .row_count = 3, .input_width = 4, .output_widths = {5}});
  ASSERT_THAT(test.Run(), IsOk());
  EXPECT_EQ(test.report.precision, PrecisionThatRuns(GetParam().type, GetParam().precision));
  EXPECT_EQ(test.report.thread_count, 1);
  ASSERT_THAT(test.RunPacked(), IsOk());
  EXPECT_EQ(test.report.precision, PrecisionThatRuns(GetParam().type, GetParam().precision));
}

TEST_P(ProjectionTest, SeveralMapsGiveTheSameBitsAsOneByOne) {
  TestProjection together({.kind = GetParam(),
                           .row_count = 70,
                           .input_width = 50,
                           .output_widths = {64, 1, 130, 17},
                           .with_bias = true});
  ASSERT_THAT(together.Run(), IsOk());
  ASSERT_TRUE(together.MatchesFloat64());
  for (size_t map = 0; map < together.maps.size(); ++map) {
    TestProjection alone = together;
    alone.outputs[map].Fill([] { return 0.0; });
    ASSERT_THAT(alone.RunMap(map), IsOk());
    EXPECT_TRUE(SameOutputs(alone, together)) << map;
  }
}

TEST_P(ProjectionTest, PackedWeightsGiveTheSameBitsAndAreCopied) {
  TestProjection fresh({.kind = GetParam(),
                        .row_count = 130,
                        .input_width = 100,
                        .output_widths = {129, 32, 5},
                        .with_bias = true});
  TestProjection packed = fresh;
  ASSERT_THAT(fresh.Run(), IsOk());
  ThreadExecutor executor(3);
  const auto projection = kernels::PackedProjection::Pack(packed.Maps(), {.executor = &executor});
  ASSERT_TRUE(projection.ok()) << projection.status();
  for (TestMap& map : packed.maps) {
    map.weight.Fill([] { return std::numeric_limits<double>::quiet_NaN(); });
    map.bias.Fill([] { return std::numeric_limits<double>::quiet_NaN(); });
  }
  for (int repetition = 0; repetition < 2; ++repetition) {
    ASSERT_THAT((*projection)->Apply(packed.Rows()).status(), IsOk());
    EXPECT_TRUE(SameOutputs(packed, fresh));
  }
}

TEST_P(ProjectionTest, ReadsAndWritesRowsWithStrides) {
  TestProjection dense({.kind = GetParam(),
                        .row_count = 70,
                        .input_width = 40,
                        .output_widths = {30, 70},
                        .with_bias = true});
  ASSERT_THAT(dense.Run(), IsOk());
  TestProjection padded(dense.recipe, Layout::kPadded);
  ASSERT_GT(padded.Rows().input_stride, 40);
  ASSERT_GT(padded.Rows().outputs[1].row_stride, 70);
  ASSERT_THAT(padded.Run(), IsOk());
  EXPECT_TRUE(padded.GuardsIntact());
  for (int64_t row = 0; row < 70; ++row) {
    for (size_t map = 0; map < 2; ++map) {
      EXPECT_EQ(padded.outputs[map].RowBytes(0, 0, row), dense.outputs[map].RowBytes(0, 0, row));
    }
  }
}

// Every height of a last tile.
TEST_P(ProjectionTest, ARowHasTheSameBitsAloneAndAmongMany) {
  TestProjection many({.kind = GetParam(),
                       .row_count = 150,
                       .input_width = 33,
                       .output_widths = {70},
                       .with_bias = true});
  ASSERT_THAT(many.Run(), IsOk());
  for (int64_t row_count = 1; row_count <= 129; ++row_count) {
    TestProjection few = many;
    kernels::ProjectionRows rows = few.Rows();
    const int64_t first_row = 150 - row_count;
    rows.row_count = row_count;
    rows.input = kernels::RowAddress(few.input.view(), 0, 0, first_row);
    ASSERT_THAT(Project(few.Maps(), rows).status(), IsOk());
    for (const int64_t row : {int64_t{0}, row_count / 2, row_count - 1}) {
      ASSERT_EQ(few.outputs[0].RowBytes(0, 0, row), many.outputs[0].RowBytes(0, 0, first_row + row))
          << row << " of " << row_count;
    }
  }
}

TEST_P(ProjectionTest, TheNumberOfThreadsChangesNoBit) {
  const ProjectionRecipe recipe = {.kind = GetParam(),
                                   .row_count = 333,
                                   .input_width = 650,
                                   .output_widths = {100, 300},
                                   .with_bias = true};
  TestProjection test(recipe);
  ASSERT_THAT(test.Run(), IsOk());
  for (const int thread_count : {1, 2, 4}) {
    TestProjection threaded(recipe);
    ThreadExecutor executor(thread_count);
    ASSERT_THAT(threaded.Run({.executor = &executor}), IsOk());
    EXPECT_TRUE(SameOutputs(threaded, test)) << thread_count;
    EXPECT_EQ(threaded.report.thread_count, thread_count);
  }
}

TEST_P(ProjectionTest, NaNStaysInItsRow) {
  TestProjection test({.kind = GetParam(),
                       .row_count = 40,
                       .input_width = 20,
                       .output_widths = {30},
                       .with_bias = true});
  TestProjection poisoned = test;
  ASSERT_THAT(test.Run(), IsOk());
  poisoned.input.Set(0, 0, 7, 3, std::numeric_limits<double>::quiet_NaN());
  ASSERT_THAT(poisoned.Run(), IsOk());
  for (int64_t row = 0; row < 40; ++row) {
    if (row == 7) {
      for (int64_t j = 0; j < 30; ++j) {
        EXPECT_TRUE(std::isnan(poisoned.outputs[0].At(0, 0, row, j)));
      }
    } else {
      EXPECT_EQ(poisoned.outputs[0].RowBytes(0, 0, row), test.outputs[0].RowBytes(0, 0, row));
    }
  }
}

TEST_P(ProjectionTest, AStopGivesCancelled) {
  TestProjection test(
      {.kind = GetParam(), .row_count = 333, .input_width = 65, .output_widths = {100}});
  for (const int64_t ask_count : {1, 2, 3}) {
    const StopAfter stop(ask_count);
    EXPECT_THAT(test.Run({.stop = &stop}), HasCode(absl::StatusCode::kCancelled));
  }
  const StopAfter stop(1);
  EXPECT_THAT(kernels::PackedProjection::Pack(test.Maps(), {.stop = &stop}).status(),
              HasCode(absl::StatusCode::kCancelled));
}

TEST_P(ProjectionTest, KnowsItsSizeBeforePacking) {
  const TestProjection small(
      {.kind = GetParam(), .row_count = 1, .input_width = 64, .output_widths = {64}});
  const int64_t bytes = kernels::PackedProjection::PackedBytes(small.Maps());
  const int64_t least_bytes_of_a_number =
      GetParam().type == DataType::kF64 ? 8 : static_cast<int64_t>(sizeof(uint16_t));
  EXPECT_GE(bytes, 64 * 64 * least_bytes_of_a_number);
  EXPECT_LE(bytes, 65 * 64 * 8);
  kernels::ProjectionMap huge = small.Maps().maps[0];
  huge.output_width = std::numeric_limits<int64_t>::max() - 3;
  kernels::ProjectionMaps maps = small.Maps();
  maps.maps = {&huge, 1};
  EXPECT_EQ(kernels::PackedProjection::PackedBytes(maps), std::numeric_limits<int64_t>::max());
  EXPECT_THAT(kernels::PackedProjection::Pack(maps).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("maps[0].weight")));
  huge.output_width = int64_t{1} << 50;
  EXPECT_THAT(kernels::PackedProjection::Pack(maps).status(),
              HasCode(absl::StatusCode::kResourceExhausted));
}

TEST_P(ProjectionTest, RejectsBadArgumentsAndWritesNothing) {
  TestProjection test({.kind = GetParam(), .row_count = 2, .input_width = 3, .output_widths = {4}});
  const TestProjection untouched = test;
  const auto expect_rejected = [&](const auto& change, const char* message) {
    kernels::ProjectionMaps maps = test.Maps();
    kernels::ProjectionMap map = maps.maps[0];
    maps.maps = {&map, 1};
    kernels::ProjectionRows rows = test.Rows();
    kernels::ProjectedRows output = rows.outputs[0];
    rows.outputs = {&output, 1};
    change(maps, map, rows, output);
    EXPECT_THAT(Project(maps, rows).status(),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  expect_rejected([](auto& maps, auto&, auto&, auto&) { maps.type = DataType::kBool; }, "BOOL");
  expect_rejected([](auto& maps, auto&, auto&, auto&) { maps.input_width = 0; },
                  "input_width: got 0, want >= 1");
  expect_rejected([](auto& maps, auto&, auto&, auto&) { maps.maps = {}; }, "maps: got none");
  expect_rejected([](auto&, auto& map, auto&, auto&) { map.output_width = -4; },
                  "maps[0].output_width: got -4");
  expect_rejected([](auto&, auto& map, auto&, auto&) { map.weight = nullptr; },
                  "maps[0].weight: got null");
  expect_rejected([](auto&, auto&, auto& rows, auto&) { rows.row_count = -1; },
                  "row_count: got -1");
  expect_rejected([](auto&, auto&, auto& rows, auto&) { rows.input = nullptr; }, "input: got null");
  expect_rejected([](auto&, auto&, auto& rows, auto&) { rows.input_stride = 2; },
                  "input_stride: got 2, want >= 3");
  expect_rejected([](auto&, auto&, auto& rows, auto&) { rows.outputs = {}; },
                  "outputs: got 0, want 1");
  expect_rejected([](auto&, auto&, auto&, auto& output) { output.data = nullptr; },
                  "outputs[0].data: got null");
  expect_rejected([](auto&, auto&, auto&, auto& output) { output.row_stride = 3; },
                  "outputs[0].row_stride: got 3, want >= 4");
  EXPECT_TRUE(SameOutputs(test, untouched));
}

INSTANTIATE_TEST_SUITE_P(Types, ProjectionTest,
                         testing::Values(NumberKind{DataType::kF32}, NumberKind{DataType::kF16},
                                         NumberKind{DataType::kBF16}, NumberKind{DataType::kF64},
                                         NumberKind{DataType::kF32, Precision::kBF16X6},
                                         NumberKind{DataType::kF32, Precision::kBF16X3},
                                         NumberKind{DataType::kF32, Precision::kBF16}),
                         [](const auto& kind) { return Name(kind.param); });

}  // namespace
}  // namespace attention::test
