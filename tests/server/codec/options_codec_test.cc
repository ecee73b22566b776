#include "server/codec/options_codec.h"

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/server/codec/options_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using test::DecodeOptionsOf;
using test::ExpectRefused;
using test::IsOk;
using test::StatusIs;
using test::TaskOf;

TEST(DecodeOptionsTest, HasDefaults) {
  const auto task = DecodeOptionsOf({});
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.normalization, kernels::Normalization::kSoftmaxOverKeys);
  EXPECT_EQ(task->options.fully_masked, kernels::FullyMasked::kZeros);
  EXPECT_FALSE(task->options.float64);
  const kernels::AttentionProblem& problem = task->problem;
  EXPECT_FALSE(problem.causal);
  EXPECT_EQ(problem.left_window, std::nullopt);
  EXPECT_FALSE(problem.rotary.has_value());
  EXPECT_TRUE(problem.alibi.slopes.empty() && problem.bucketed_bias.table.empty());
  EXPECT_TRUE(problem.query_segments.empty() && problem.query_offsets.empty());
}

TEST(DecodeOptionsTest, ReadsEveryNormalization) {
  v1::AttentionOptions options;
  const std::pair<v1::Normalization, kernels::Normalization> normalizations[] = {
      {v1::NORMALIZATION_SOFTMAX_OVER_KEYS, kernels::Normalization::kSoftmaxOverKeys},
      {v1::NORMALIZATION_SOFTMAX_OVER_QUERIES, kernels::Normalization::kSoftmaxOverQueries},
      {v1::NORMALIZATION_NONE, kernels::Normalization::kNone}};
  static_assert(std::size(normalizations) == v1::Normalization_MAX);
  for (const auto& [wire, kernel] : normalizations) {
    options.set_normalization(wire);
    const auto task = DecodeOptionsOf(options);
    ASSERT_THAT(task, IsOk());
    EXPECT_EQ(task->options.normalization, kernel);
  }
}

v1::AttentionOptions WithPolicy(v1::FullyMaskedPolicy policy) {
  v1::AttentionOptions options;
  options.set_fully_masked(policy);
  return options;
}

TEST(DecodeOptionsTest, ReadsEveryPolicyForWhatSeesNothing) {
  const std::pair<v1::FullyMaskedPolicy, kernels::FullyMasked> policies[] = {
      {v1::FULLY_MASKED_POLICY_ZEROS, kernels::FullyMasked::kZeros},
      {v1::FULLY_MASKED_POLICY_NAN, kernels::FullyMasked::kNan},
      {v1::FULLY_MASKED_POLICY_UNIFORM, kernels::FullyMasked::kUniform}};
  static_assert(std::size(policies) == v1::FullyMaskedPolicy_MAX);
  for (const auto& [wire, kernel] : policies) {
    const auto task = DecodeOptionsOf(WithPolicy(wire));
    ASSERT_THAT(task, IsOk());
    EXPECT_EQ(task->options.fully_masked, kernel);
  }
}

TEST(DecodeOptionsTest, OffersPoliciesWithTheSoftmaxOverKeysAlone) {
  for (const auto normalization :
       {v1::NORMALIZATION_SOFTMAX_OVER_QUERIES, v1::NORMALIZATION_NONE}) {
    v1::AttentionOptions options = WithPolicy(v1::FULLY_MASKED_POLICY_ZEROS);
    options.set_normalization(normalization);
    EXPECT_THAT(DecodeOptionsOf(options), IsOk());
    for (const auto policy : {v1::FULLY_MASKED_POLICY_NAN, v1::FULLY_MASKED_POLICY_UNIFORM}) {
      options.set_fully_masked(policy);
      EXPECT_THAT(DecodeOptionsOf(options),
                  StatusIs(absl::StatusCode::kUnimplemented,
                           "options.fully_masked " + v1::FullyMaskedPolicy_Name(policy) +
                               ": not offered with options.normalization " +
                               v1::Normalization_Name(normalization)));
    }
  }
}

v1::AttentionOptions WithSoftmaxType(v1::DataType type) {
  v1::AttentionOptions options;
  options.set_softmax_type(type);
  return options;
}

TEST(DecodeOptionsTest, ComputesInFloat64OnlyIfTheSoftmaxIsAskedForInIt) {
  for (const auto type : {v1::DATA_TYPE_UNSPECIFIED, v1::DATA_TYPE_F32, v1::DATA_TYPE_F16,
                          v1::DATA_TYPE_BF16, v1::DATA_TYPE_F64}) {
    const auto task = DecodeOptionsOf(WithSoftmaxType(type));
    ASSERT_THAT(task, IsOk());
    EXPECT_EQ(task->options.float64, type == v1::DATA_TYPE_F64) << type;
  }
}

v1::AttentionOptions WithPrecision(v1::Precision precision) {
  v1::AttentionOptions options;
  options.set_precision(precision);
  return options;
}

TEST(DecodeOptionsTest, ReadsEveryPrecision) {
  const std::pair<v1::Precision, kernels::Precision> precisions[] = {
      {v1::PRECISION_F32, kernels::Precision::kF32},
      {v1::PRECISION_BF16_X6, kernels::Precision::kBF16X6},
      {v1::PRECISION_BF16_X3, kernels::Precision::kBF16X3},
      {v1::PRECISION_BF16, kernels::Precision::kBF16},
      {v1::PRECISION_F32_GRADE_FASTEST, kernels::Precision::kF32GradeFastest},
  };
  static_assert(std::size(precisions) == v1::Precision_MAX);
  for (const auto& [wire, kernel] : precisions) {
    const auto task = DecodeOptionsOf(WithPrecision(wire));
    ASSERT_THAT(task, IsOk());
    EXPECT_EQ(task->options.precision, kernel) << v1::Precision_Name(wire);
  }
}

TEST(DecodeOptionsTest, RefusesAPrecisionForAnyTypeButF32) {
  const std::pair<kernels::DataType, std::string> types[] = {
      {kernels::DataType::kF16, "DATA_TYPE_F16"},
      {kernels::DataType::kBF16, "DATA_TYPE_BF16"},
      {kernels::DataType::kF64, "DATA_TYPE_F64"},
  };
  for (const auto& [type, name] : types) {
    EXPECT_THAT(DecodeOptionsOf({}, TaskOf(3, 5, type)), IsOk());
    for (int number = 1; number <= v1::Precision_MAX; ++number) {
      const auto precision = static_cast<v1::Precision>(number);
      EXPECT_THAT(DecodeOptionsOf(WithPrecision(precision), TaskOf(3, 5, type)),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           "options.precision: got " + v1::Precision_Name(precision) +
                               ", want PRECISION_UNSPECIFIED where the data_type of the queries "
                               "is " +
                               name));
    }
  }
}

TEST(DecodeOptionsTest, RefusesWhatContradictsTheContract) {
  v1::AttentionOptions bad_normalization;
  bad_normalization.set_normalization(static_cast<v1::Normalization>(-1));
  ExpectRefused({
      {bad_normalization, "options.normalization: got -1, want 0 to 3"},
      {WithPrecision(static_cast<v1::Precision>(6)), "options.precision: got 6, want 0 to 5"},
      {WithPrecision(static_cast<v1::Precision>(-1)), "options.precision: got -1, want 0 to 5"},
      {WithPolicy(static_cast<v1::FullyMaskedPolicy>(4)),
       "options.fully_masked: got 4, want 0 to 3"},
      {WithSoftmaxType(static_cast<v1::DataType>(8)), "options.softmax_type: got 8, want 0 to 7"},
      {WithSoftmaxType(v1::DATA_TYPE_BOOL),
       "options.softmax_type: got DATA_TYPE_BOOL, want DATA_TYPE_F32, F16, BF16 or F64"},
      {WithSoftmaxType(v1::DATA_TYPE_INT64),
       "options.softmax_type: got DATA_TYPE_INT64, want DATA_TYPE_F32, F16, BF16 or F64"},
  });
}

}  // namespace
}  // namespace attention::server
