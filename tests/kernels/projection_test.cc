#include "kernels/projection.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/pairwise.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"
#include "tests/support/test_tensor.h"
#include "tests/support/thread_executor.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Project;
using kernels::Projection;
using testing::HasSubstr;

// A projection with storage of its own. Tensors are [1, 1, rows, columns].
struct TestProjection {
  TestProjection(DataType type_in, int64_t row_count, int64_t input_width, int64_t output_width,
                 bool with_bias)
      : type(type_in),
        input(type, {1, 1, row_count, input_width}),
        weight(type, {1, 1, input_width, output_width}),
        output(type, {1, 1, row_count, output_width}) {
    Random random(static_cast<uint64_t>(row_count * 1'000'000 + input_width * 1000 + output_width));
    const auto numbers = [&] { return random.Normal(); };
    input.Fill(numbers);
    weight.Fill(numbers);
    if (with_bias) {
      bias = TestTensor(type, {1, 1, 1, output_width});
      bias.Fill(numbers);
    }
  }

  [[nodiscard]] Projection View() {
    return {.type = type,
            .row_count = input.extents()[2],
            .input_width = input.extents()[3],
            .output_width = output.extents()[3],
            .input = input.view().data,
            .weight = weight.view().data,
            .bias = bias.view().data,
            .output = output.mutable_view().data};
  }

  DataType type;
  TestTensor input;
  TestTensor weight;
  TestTensor bias;
  TestTensor output;
};

// The relative error of a sum's operations and of storing a result.
double ArithmeticUnit(DataType type) { return type == DataType::kF64 ? 0x1p-53 : 0x1p-24; }
double ResultUnit(DataType type) {
  switch (type) {
    case DataType::kF64:
      return 0x1p-53;
    case DataType::kF16:
      return 0x1p-11;
    case DataType::kBF16:
      return 0x1p-9;
    default:
      return 0x1p-24;
  }
}

// What a result may lose because it is too small for a relative error: denormals have a fixed unit.
double Underflow(DataType type) { return type == DataType::kF16 ? 0x1p-24 : 0x1p-126; }

// Compares with the product in float64. Each addition rounds by a random part of a unit of the sum
// so far, and independent errors add up as the root of their number: four standard deviations are
// allowed.
testing::AssertionResult MatchesFloat64(const TestProjection& test) {
  const int64_t input_width = test.input.extents()[3];
  const double roundings = 4.0 * std::sqrt(static_cast<double>(input_width + 1));
  for (int64_t i = 0; i < test.output.extents()[2]; ++i) {
    for (int64_t j = 0; j < test.output.extents()[3]; ++j) {
      double want = test.bias.present() ? test.bias.At(0, 0, 0, j) : 0.0;
      double largest_sum = std::abs(want);
      for (int64_t k = 0; k < input_width; ++k) {
        want += test.input.At(0, 0, i, k) * test.weight.At(0, 0, k, j);
        largest_sum = std::max(largest_sum, std::abs(want));
      }
      const double tolerance = roundings * ArithmeticUnit(test.type) * largest_sum +
                               2.0 * ResultUnit(test.type) * std::abs(want) + Underflow(test.type);
      const double got = test.output.At(0, 0, i, j);
      if (!(std::abs(got - want) <= tolerance)) {
        return testing::AssertionFailure() << "row " << i << ", column " << j << ": got " << got
                                           << ", want " << want << " within " << tolerance;
      }
    }
  }
  return testing::AssertionSuccess();
}

class ProjectionTest : public testing::TestWithParam<DataType> {};

TEST_P(ProjectionTest, MatchesTheProductInFloat64) {
  constexpr int64_t kRows[] = {0, 1, 2, 15, 16, 17, 31, 33, 64, 65, 129, 200};
  constexpr int64_t kWidths[] = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 64, 65, 100, 129, 256};
  const auto combinations =
      PairwiseCombinations({12, 15, 15, 2}, [](const Combination&) { return true; }, 3);
  for (const Combination& values : combinations) {
    TestProjection test(GetParam(), kRows[values[0]], kWidths[values[1]], kWidths[values[2]],
                        values[3] != 0);
    ASSERT_THAT(Project(test.View()), IsOk());
    ASSERT_TRUE(MatchesFloat64(test))
        << test.input.extents()[2] << " rows, " << test.input.extents()[3] << " to "
        << test.output.extents()[3];
    ASSERT_TRUE(test.output.GuardsIntact());
  }
}

TEST_P(ProjectionTest, ARowHasTheSameBitsAloneAndAmongMany) {
  for (const int64_t input_width : {33, 64}) {
    TestProjection many(GetParam(), 150, input_width, 70, true);
    ASSERT_THAT(Project(many.View()), IsOk());
    for (const int64_t row : {0, 1, 63, 64, 149}) {
      TestProjection alone = many;
      Projection view = alone.View();
      view.row_count = 1;
      view.input = kernels::RowAddress(alone.input.view(), 0, 0, row);
      ASSERT_THAT(Project(view), IsOk());
      EXPECT_EQ(alone.output.RowBytes(0, 0, 0), many.output.RowBytes(0, 0, row)) << row;
    }
  }
}

TEST_P(ProjectionTest, TheNumberOfThreadsChangesNoBit) {
  TestProjection test(GetParam(), 333, 65, 100, true);
  ASSERT_THAT(Project(test.View()), IsOk());
  for (const int thread_count : {1, 2, 4}) {
    TestProjection threaded(GetParam(), 333, 65, 100, true);
    ThreadExecutor executor(thread_count);
    ASSERT_THAT(Project(threaded.View(), {.executor = &executor}), IsOk());
    EXPECT_EQ(threaded.output.storage(), test.output.storage()) << thread_count;
  }
}

TEST_P(ProjectionTest, NaNStaysInItsRow) {
  TestProjection test(GetParam(), 40, 20, 30, true);
  ASSERT_THAT(Project(test.View()), IsOk());
  TestProjection poisoned = test;
  poisoned.input.Set(0, 0, 7, 3, std::numeric_limits<double>::quiet_NaN());
  ASSERT_THAT(Project(poisoned.View()), IsOk());
  for (int64_t row = 0; row < 40; ++row) {
    if (row == 7) {
      for (int64_t j = 0; j < 30; ++j) EXPECT_TRUE(std::isnan(poisoned.output.At(0, 0, row, j)));
    } else {
      EXPECT_EQ(poisoned.output.RowBytes(0, 0, row), test.output.RowBytes(0, 0, row));
    }
  }
}

TEST_P(ProjectionTest, AStopGivesCancelled) {
  TestProjection test(GetParam(), 333, 65, 100, true);
  const StopAfter stop(1);
  EXPECT_THAT(Project(test.View(), {.stop = &stop}), HasCode(absl::StatusCode::kCancelled));
}

TEST_P(ProjectionTest, RejectsBadExtents) {
  TestProjection test(GetParam(), 2, 3, 4, false);
  const TestTensor untouched = test.output;
  const auto expect_rejected = [&](const Projection& projection, const char* message) {
    EXPECT_THAT(Project(projection),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(message)));
  };
  Projection bad = test.View();
  bad.row_count = -1;
  expect_rejected(bad, "row_count: got -1");
  bad = test.View();
  bad.input_width = 0;
  expect_rejected(bad, "input_width: got 0");
  bad = test.View();
  bad.output_width = -4;
  expect_rejected(bad, "output_width: got -4");
  bad = test.View();
  bad.type = DataType::kBool;
  expect_rejected(bad, "BOOL");
  EXPECT_EQ(test.output.storage(), untouched.storage());
}

INSTANTIATE_TEST_SUITE_P(Types, ProjectionTest,
                         testing::Values(DataType::kF32, DataType::kF16, DataType::kBF16,
                                         DataType::kF64),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

}  // namespace
}  // namespace attention::test
