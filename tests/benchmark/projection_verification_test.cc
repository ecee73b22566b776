// That a benchmark accepts right projections and none that are slightly wrong.

#include "tests/benchmark/projection_verification.h"

#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "tests/benchmark/projection_operands.h"
#include "tests/support/status_matchers.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;
using kernels::Precision;
using test::HasCode;
using test::IsOk;

class ProjectionVerificationTest : public testing::TestWithParam<DataType> {
 protected:
  // Computes `maps` into the operands' outputs and verifies them as the operands' own maps.
  absl::Status ComputeAndVerify(const kernels::ProjectionMaps& maps) {
    const auto report = kernels::Project(maps, operands_.Rows());
    EXPECT_THAT(report, IsOk());
    return report.ok() ? Verify() : report.status();
  }

  absl::Status Verify() {
    return VerifyProjection(operands_.Maps(Precision::kF32), operands_.Rows(),
                            GetParam() == DataType::kF32 ? "f32" : "bf16");
  }

  ProjectionOperands operands_{{"qkv", 50, 96, 3, false}, GetParam()};
};

TEST_P(ProjectionVerificationTest, AcceptsWhatProjectComputes) {
  EXPECT_THAT(ComputeAndVerify(operands_.Maps(Precision::kF32)), IsOk());
}

TEST_P(ProjectionVerificationTest, RefusesAMissingBias) {
  const kernels::ProjectionMaps maps = operands_.Maps(Precision::kF32);
  std::vector<kernels::ProjectionMap> changed(maps.maps.begin(), maps.maps.end());
  changed.back().bias = nullptr;
  EXPECT_THAT(
      ComputeAndVerify({.type = maps.type, .input_width = maps.input_width, .maps = changed}),
      HasCode(absl::StatusCode::kInternal));
}

TEST_P(ProjectionVerificationTest, RefusesAWrongLastRow) {
  EXPECT_THAT(ComputeAndVerify(operands_.Maps(Precision::kF32)), IsOk());
  const kernels::ProjectedRows& output = operands_.Rows().outputs.front();
  const size_t row_bytes = 96 * kernels::ElementBytes(GetParam());
  std::memset(static_cast<std::byte*>(output.data) + 49 * row_bytes, 0, row_bytes);
  EXPECT_THAT(Verify(), HasCode(absl::StatusCode::kInternal));
}

INSTANTIATE_TEST_SUITE_P(Types, ProjectionVerificationTest,
                         testing::Values(DataType::kF32, DataType::kBF16),
                         [](const auto& type) { return std::string(kernels::Name(type.param)); });

}  // namespace
}  // namespace attention::benchmark
