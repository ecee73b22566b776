// Products of split F32 operands, and what becomes of numbers that cannot be split.

#include <array>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kernels/instruction_set.h"
#include "kernels/projection.h"
#include "tests/kernels/test_projection.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace attention::test {
namespace {

using kernels::DataType;
using kernels::Precision;

ProjectionRecipe RecipeIn(Precision precision) {
  return {.kind = {DataType::kF32, precision},
          .row_count = 130,
          .input_width = 200,
          .output_widths = {150, 64},
          .with_bias = true};
}

bool Splits() {
  return kernels::EffectiveInstructionLevel() >= kernels::InstructionLevel::kAvx512Amx;
}

// Not splittable: infinite, NaN, denormal, small, large.
constexpr std::array<double, 7> kUnsplittable = {std::numeric_limits<float>::infinity(),
                                                 -std::numeric_limits<float>::infinity(),
                                                 std::numeric_limits<float>::quiet_NaN(),
                                                 0x1p-140,
                                                 -0x1.8p-49,
                                                 0x1.8p63,
                                                 std::numeric_limits<float>::max()};

class SplitProjectionTest : public testing::TestWithParam<Precision> {};

TEST_P(SplitProjectionTest, ARowThatCannotBeSplitIsComputedInF32AndNoOtherChanges) {
  TestProjection plain(RecipeIn(GetParam()));
  ASSERT_THAT(plain.Run(), IsOk());
  for (const double number : kUnsplittable) {
    TestProjection split(RecipeIn(GetParam()));
    TestProjection f32(RecipeIn(Precision::kF32));
    for (TestProjection* test : {&split, &f32}) {
      test->input.Set(0, 0, 3, 7, number);
      test->input.Set(0, 0, 129, 199, number);
    }
    TestProjection packed = split;
    ASSERT_THAT(split.Run(), IsOk());
    ASSERT_THAT(packed.RunPacked(), IsOk());
    ASSERT_THAT(f32.Run(), IsOk());
    EXPECT_TRUE(SameOutputs(packed, split)) << number;
    for (size_t map = 0; map < 2; ++map) {
      for (int64_t row = 0; row < 130; ++row) {
        const TestProjection& want = row == 3 || row == 129 ? f32 : plain;
        ASSERT_EQ(split.outputs[map].RowBytes(0, 0, row), want.outputs[map].RowBytes(0, 0, row))
            << number << " in row " << row;
      }
    }
  }
}

TEST_P(SplitProjectionTest, ColumnsThatCannotBeSplitAreComputedInF32) {
  TestProjection plain(RecipeIn(GetParam()));
  ASSERT_THAT(plain.Run(), IsOk());
  for (const double number : kUnsplittable) {
    TestProjection split(RecipeIn(GetParam()));
    TestProjection f32(RecipeIn(Precision::kF32));
    for (TestProjection* test : {&split, &f32}) {
      test->maps[0].weight.Set(0, 0, 199, 149, number);
    }
    TestProjection packed = split;
    ASSERT_THAT(split.Run(), IsOk());
    ASSERT_THAT(packed.RunPacked(), IsOk());
    ASSERT_THAT(f32.Run(), IsOk());
    EXPECT_TRUE(SameOutputs(packed, split)) << number;
    EXPECT_TRUE(split.outputs[1].storage() == plain.outputs[1].storage()) << number;
    for (int64_t row = 0; row < 130; ++row) {
      const double got = split.outputs[0].At(0, 0, row, 149);
      const double want = f32.outputs[0].At(0, 0, row, 149);
      if (std::isnan(want)) {
        EXPECT_TRUE(std::isnan(got)) << number;
      } else {
        EXPECT_EQ(got, want) << number;
      }
      EXPECT_EQ(split.outputs[0].At(0, 0, row, 0), plain.outputs[0].At(0, 0, row, 0)) << number;
    }
  }
}

// Where the first rows of the weight have been packed before the last ones are looked at.
TEST_P(SplitProjectionTest, TheLastRowsOfAVeryWideInputMayBeWhatCannotBeSplit) {
  ProjectionRecipe recipe = {.kind = {DataType::kF32, GetParam()},
                             .row_count = 20,
                             .input_width = 4200,
                             .output_widths = {64, 64}};
  TestProjection split(recipe);
  recipe.kind.precision = Precision::kF32;
  TestProjection f32(recipe);
  for (TestProjection* test : {&split, &f32}) {
    test->maps[1].weight.Set(0, 0, 4150, 5, 0x1p-60);
    test->input.Set(0, 0, 19, 4199, 0x1p-60);
  }
  TestProjection packed = split;
  ASSERT_THAT(split.Run(), IsOk());
  ASSERT_THAT(packed.RunPacked(), IsOk());
  ASSERT_THAT(f32.Run(), IsOk());
  EXPECT_TRUE(SameOutputs(packed, split));
  EXPECT_TRUE(split.outputs[1].storage() == f32.outputs[1].storage());
  EXPECT_EQ(split.outputs[0].RowBytes(0, 0, 19), f32.outputs[0].RowBytes(0, 0, 19));
  EXPECT_EQ(split.outputs[0].RowBytes(0, 0, 3) == f32.outputs[0].RowBytes(0, 0, 3), !Splits());
}

TEST_P(SplitProjectionTest, NothingButUnsplittableRowsIsReportedAsF32) {
  TestProjection test(RecipeIn(GetParam()));
  Random random(1);
  test.input.Fill([&] { return 0x1p-60 * random.Normal(); });
  ASSERT_THAT(test.Run(), IsOk());
  EXPECT_EQ(test.report.precision, "f32");
  EXPECT_TRUE(test.MatchesFloat64());
}

// The ends of the range that can be split, in one row: the products of either end are in range.
TEST_P(SplitProjectionTest, IsPreciseOverTheWholeRange) {
  for (const double magnitude : {0x1p-47, 0x1p-20, 1.0, 0x1p20, 0x1p50}) {
    TestProjection test(RecipeIn(GetParam()));
    Random random(2);
    test.input.Fill([&] {
      const double number = random.Normal();
      return magnitude * std::copysign(0.5 + std::abs(number), number);
    });
    ASSERT_THAT(test.Run(), IsOk());
    ASSERT_TRUE(test.MatchesFloat64()) << magnitude;
    EXPECT_EQ(test.report.precision == "f32", !Splits());
  }
}

TEST_P(SplitProjectionTest, HasTheErrorBoundOfItsPrecision) {
  TestProjection split({.kind = {DataType::kF32, GetParam()},
                        .row_count = 64,
                        .input_width = 768,
                        .output_widths = {128}});
  ASSERT_THAT(split.Run(), IsOk());
  TestProjection f32 = split;
  f32.recipe.kind.precision = Precision::kF32;
  ASSERT_THAT(f32.Run(), IsOk());
  const double bound = GetParam() == Precision::kBF16X6 ? 2 * f32.FrobeniusError() : 2e-5;
  EXPECT_LE(split.FrobeniusError(), bound);
}

TEST(FastestProjectionTest, IsEitherOfTheF32GradeOnes) {
  TestProjection test(RecipeIn(Precision::kF32GradeFastest));
  ASSERT_THAT(test.RunPacked(), IsOk());
  EXPECT_TRUE(test.MatchesFloat64());
  EXPECT_THAT(test.report.precision, testing::AnyOf("f32", "bf16_x6"));
  EXPECT_EQ(
      kernels::PackedProjection::PackedBytes(test.Maps()),
      kernels::PackedProjection::PackedBytes(TestProjection(RecipeIn(Precision::kBF16X6)).Maps()));
}

INSTANTIATE_TEST_SUITE_P(Precisions, SplitProjectionTest,
                         testing::Values(Precision::kBF16X6, Precision::kBF16X3),
                         [](const auto& precision) {
                           return Name({DataType::kF32, precision.param});
                         });

}  // namespace
}  // namespace attention::test
