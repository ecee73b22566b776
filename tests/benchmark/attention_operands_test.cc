// What a benchmark's figures and verification rely on.

#include "tests/benchmark/attention_operands.h"

#include <utility>

#include "gtest/gtest.h"
#include "tests/benchmark/verification.h"
#include "tests/support/status_matchers.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;

AttentionShape Shape(TimedOption option) {
  AttentionShape shape;
  shape.query_head_count = shape.key_value_head_count = 2;
  shape.query_count = shape.key_count = 64;
  shape.width = 16;
  shape.option = option;
  return shape;
}

// Pairs that are visible, by the operations that each takes.
double VisiblePairs(TimedOption option) {
  const AttentionShape shape = Shape(option);
  return AttentionOperands(shape, DataType::kF32).Flops() / (2 * 2 * (16 + 16));
}

TEST(AttentionOperandsTest, CountsOperationsOfVisiblePairsAlone) {
  EXPECT_EQ(VisiblePairs(TimedOption::kNone), 64 * 64);
  EXPECT_EQ(VisiblePairs(TimedOption::kSegments), 4 * 16 * 16);
  for (const auto& [option, share] :
       {std::pair{TimedOption::kScatteredSegments, 0.25},
        std::pair{TimedOption::kBooleanMask, 0.75}, std::pair{TimedOption::kAdditiveMask, 0.75}}) {
    EXPECT_NEAR(VisiblePairs(option), share * 64 * 64, 0.05 * 64 * 64);
  }
}

// The rows of one shape share their operands.
TEST(AttentionOperandsTest, WhatOneRowWroteIsNotTakenForTheResultOfTheNext) {
  const AttentionShape shape = Shape(TimedOption::kStatistics);
  for (const DataType type : {DataType::kF32, DataType::kBF16}) {
    AttentionOperands operands(shape, type);
    const kernels::AttentionProblem problem = operands.Problem();
    const auto report = Attend(problem, {}, operands.Outputs());
    ASSERT_THAT(report, test::IsOk());
    ASSERT_THAT(VerifyAttention(problem, {}, operands.Outputs(), report->precision), test::IsOk());

    kernels::AttentionOutputs outputs;
    outputs.output = operands.UnwrittenOutputs().output;
    kernels::AttentionProblem without_last = problem;
    outputs.output.extents[2] = --without_last.query.extents[2];
    ASSERT_THAT(Attend(without_last, {}, outputs), test::IsOk());
    outputs.output = operands.Outputs().output;
    EXPECT_THAT(VerifyAttention(problem, {}, outputs, report->precision),
                test::HasCode(absl::StatusCode::kInternal));
  }
}

}  // namespace
}  // namespace attention::benchmark
