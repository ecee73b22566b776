// Projections with operands of their own, for tests.

#ifndef ATTENTION_TESTS_KERNELS_TEST_PROJECTION_H_
#define ATTENTION_TESTS_KERNELS_TEST_PROJECTION_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "kernels/projection.h"
#include "tests/support/test_tensor.h"

namespace attention::test {

struct NumberKind {
  kernels::DataType type = kernels::DataType::kF32;
  kernels::Precision precision = kernels::Precision::kF32;
};

// E.g. "BF16" or "F32InBF16X6".
[[nodiscard]] std::string Name(const NumberKind& kind);

struct ProjectionRecipe {
  NumberKind kind;
  int64_t row_count = 0;
  int64_t input_width = 0;
  std::vector<int64_t> output_widths;
  bool with_bias = false;
};
std::ostream& operator<<(std::ostream& stream, const ProjectionRecipe& recipe);

struct TestMap {
  TestTensor weight;  // [1, 1, input_width, output_width]
  TestTensor bias;    // [1, 1, 1, output_width], or absent
};

// All operands are filled with numbers of mean 0 and variance 1. Copies are deep.
struct TestProjection {
  explicit TestProjection(const ProjectionRecipe& recipe_in, Layout layout = Layout::kDense);

  // Views of the tensors below, until the next call.
  [[nodiscard]] kernels::ProjectionMaps Maps() const;
  [[nodiscard]] kernels::ProjectionRows Rows();

  // Compute into `outputs`, by Project, with packed weights, or by one of the maps alone.
  [[nodiscard]] absl::Status Run(const kernels::Execution& execution = {});
  [[nodiscard]] absl::Status RunPacked(const kernels::Execution& execution = {});
  [[nodiscard]] absl::Status RunMap(size_t map);

  // Compares all outputs with products in float64, by a bound that follows from how precise the
  // products are that the report names.
  [[nodiscard]] testing::AssertionResult MatchesFloat64() const;

  // Square root of the sum of squared errors over that of squared results in float64.
  [[nodiscard]] double FrobeniusError() const;

  [[nodiscard]] bool GuardsIntact() const;

  ProjectionRecipe recipe;
  TestTensor input;  // [1, 1, row_count, input_width]
  std::vector<TestMap> maps;
  std::vector<TestTensor> outputs;  // [1, 1, row_count, output_width]
  kernels::ProjectionReport report;

 private:
  mutable std::vector<kernels::ProjectionMap> map_views_;
  std::vector<kernels::ProjectedRows> output_views_;
};

// Whether all bytes of all outputs are equal, those of guards included.
[[nodiscard]] testing::AssertionResult SameOutputs(const TestProjection& a,
                                                   const TestProjection& b);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_KERNELS_TEST_PROJECTION_H_
