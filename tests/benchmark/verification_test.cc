// That a benchmark accepts right results and none that are slightly wrong.

#include "tests/benchmark/verification.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/benchmark/attention_operands.h"
#include "tests/support/status_matchers.h"

namespace attention::benchmark {
namespace {

using kernels::AttentionProblem;
using kernels::AttentionReport;
using kernels::DataType;
using test::HasCode;
using test::IsOk;

AttentionShape Shape() {
  AttentionShape shape;
  shape.batch = 2;
  shape.query_head_count = 4;
  shape.key_value_head_count = 2;
  shape.query_count = shape.key_count = 300;
  shape.width = 64;
  shape.causal = true;
  shape.padded = true;
  shape.weights = true;
  return shape;
}

class VerificationTest : public testing::TestWithParam<DataType> {
 protected:
  // Computes `problem` into the operands' outputs.
  AttentionReport Compute(const AttentionProblem& problem) {
    const absl::StatusOr<AttentionReport> report = Attend(problem, {}, operands_.Outputs());
    EXPECT_THAT(report, IsOk());
    return report.value_or(AttentionReport{});
  }

  // Of what is in the outputs, as the result of the operands' own problem.
  absl::Status Verify(const AttentionReport& report) {
    return VerifyAttention(operands_.Problem(), {}, operands_.Outputs(), report.precision);
  }

  const AttentionShape shape_ = Shape();
  AttentionOperands operands_{shape_, GetParam()};
};

TEST_P(VerificationTest, AcceptsWhatAttendComputes) {
  EXPECT_THAT(Verify(Compute(operands_.Problem())), IsOk());
}

TEST_P(VerificationTest, RefusesAResultThatMissesOneOfThreeHundredKeys) {
  AttentionProblem problem = operands_.Problem();
  problem.causal = true;
  problem.query_offset = -1;
  EXPECT_THAT(Verify(Compute(problem)), HasCode(absl::StatusCode::kInternal));
}

TEST_P(VerificationTest, RefusesAResultThatSeesPadding) {
  AttentionProblem problem = operands_.Problem();
  problem.key_lengths = {};
  EXPECT_THAT(Verify(Compute(problem)), HasCode(absl::StatusCode::kInternal));
}

TEST_P(VerificationTest, RefusesANumberThatIsNone) {
  const AttentionReport report = Compute(operands_.Problem());
  auto* output = static_cast<std::byte*>(operands_.Outputs().output.data);
  std::fill_n(output, kernels::ElementBytes(GetParam()), std::byte{0xFF});
  EXPECT_THAT(Verify(report), HasCode(absl::StatusCode::kInternal));
}

TEST_P(VerificationTest, RefusesWrongWeightsBesideARightOutput) {
  const AttentionReport report = Compute(operands_.Problem());
  auto* weights = static_cast<std::byte*>(operands_.Outputs().weights.data);
  std::fill_n(weights, kernels::ElementBytes(GetParam()), std::byte{0});
  EXPECT_THAT(Verify(report), HasCode(absl::StatusCode::kInternal));
}

AttentionShape ShapeWithStatistics() {
  AttentionShape shape = Shape();
  shape.query_count = 70;
  shape.weights = false;
  shape.option = TimedOption::kStatistics;
  return shape;
}

// One of them wrong in one place, beside an output that is right.
class StatisticsVerificationTest : public testing::TestWithParam<DataType> {
 protected:
  StatisticsVerificationTest() {
    const AttentionReport report =
        Attend(operands_.Problem(), {}, outputs_).value_or(AttentionReport{});
    precision_ = report.precision;
  }

  absl::Status Verify() { return VerifyAttention(operands_.Problem(), {}, outputs_, precision_); }

  void ExpectRefused(const kernels::MutableTensorView& statistic, const char* name) {
    auto* first = static_cast<float*>(statistic.data);
    const float right = std::exchange(*first, *first * 1.1F + 0.1F);
    const absl::Status status = Verify();
    EXPECT_THAT(status, HasCode(absl::StatusCode::kInternal));
    EXPECT_THAT(std::string(status.message()), testing::StartsWith(name));
    *first = right;
  }

  const AttentionShape shape_ = ShapeWithStatistics();
  AttentionOperands operands_{shape_, GetParam()};
  const kernels::AttentionOutputs outputs_ = operands_.Outputs();
  std::string_view precision_;
};

TEST_P(StatisticsVerificationTest, AcceptsWhatAttendComputes) { EXPECT_THAT(Verify(), IsOk()); }

TEST_P(StatisticsVerificationTest, RefusesOneThatIsWrong) {
  ExpectRefused(outputs_.log_sum_exp, "log_sum_exp");
  ExpectRefused(outputs_.entropy, "entropy");
  ExpectRefused(outputs_.maximum_weight, "maximum_weight");
  ExpectRefused(outputs_.key_mass, "key_mass");
  ExpectRefused(outputs_.top_weights.weights, "top_weights.weights");
}

TEST_P(StatisticsVerificationTest, RefusesKeysThatAreNotThoseOfTheLargestWeights) {
  int32_t* const last =
      outputs_.top_weights.keys + outputs_.top_weights.count * (shape_.query_count - 1);
  last[0] = (last[0] + 1) % 30;  // none of the padding
  EXPECT_THAT(std::string(Verify().message()), testing::StartsWith("top_weights.keys"));
  last[0] = static_cast<int32_t>(shape_.key_count);
  EXPECT_THAT(std::string(Verify().message()), testing::StartsWith("top_weights.keys"));
}

INSTANTIATE_TEST_SUITE_P(Types, StatisticsVerificationTest,
                         testing::Values(DataType::kF32, DataType::kBF16),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

INSTANTIATE_TEST_SUITE_P(Types, VerificationTest, testing::Values(DataType::kF32, DataType::kBF16),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

}  // namespace
}  // namespace attention::benchmark
