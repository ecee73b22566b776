#include "server/codec/head_numbers.h"

#include <limits>
#include <span>
#include <string>
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
using test::Floats;
using test::IsOk;
using test::Raw;
using test::Zeros;
using testing::ElementsAre;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The three fields that hold a number for each head.
struct HeadField {
  std::string path;
  v1::Tensor* (v1::AttentionOptions::*field)();
  std::span<const double> kernels::AttentionProblem::* numbers;
};
const HeadField kFields[] = {
    {"options.sinks", &v1::AttentionOptions::mutable_sinks, &kernels::AttentionProblem::sinks},
    {"options.head_mask", &v1::AttentionOptions::mutable_head_mask,
     &kernels::AttentionProblem::head_factors},
    {"options.temperature", &v1::AttentionOptions::mutable_temperature,
     &kernels::AttentionProblem::temperatures},
};

v1::AttentionOptions With(const HeadField& field, const v1::Tensor& numbers) {
  v1::AttentionOptions options;
  *(options.*field.field)() = numbers;
  return options;
}

TEST(DecodeHeadNumbersTest, ReadsOneNumberForEachHeadInEitherType) {
  for (const HeadField& field : kFields) {
    const std::vector<double> numbers = {0.1, 2, 3, 4};
    for (const v1::Tensor& tensor :
         {Raw<double>({4}, numbers, v1::DATA_TYPE_F64), Floats({4}, {0.1F, 2, 3, 4})}) {
      const v1::AttentionOptions options = With(field, tensor);
      const auto task = DecodeOptionsOf(options);
      ASSERT_THAT(task, IsOk());
      const double first = tensor.data_type() == v1::DATA_TYPE_F64 ? 0.1 : 0.1F;
      EXPECT_THAT(task->problem.*field.numbers, ElementsAre(first, 2, 3, 4)) << field.path;
    }
    EXPECT_TRUE((DecodeOptionsOf({})->problem.*field.numbers).empty());
  }
}

TEST(DecodeHeadNumbersTest, AcceptsWhatEachMayBe) {
  EXPECT_THAT(DecodeOptionsOf(With(kFields[0], Floats({4}, {kInfinity, -kInfinity, 0, -3}))),
              IsOk());
  EXPECT_THAT(DecodeOptionsOf(With(kFields[1], Floats({4}, {0, -1, 1, 2}))), IsOk());
  EXPECT_THAT(DecodeOptionsOf(With(kFields[2], Floats({4}, {1e-30F, 1, 1, 1e30F}))), IsOk());
}

TEST(DecodeHeadNumbersTest, RefusesWhatContradictsTheContract) {
  for (const HeadField& field : kFields) {
    ExpectRefused({
        {With(field, Zeros({2})), field.path + ".shape[0]: got 2, want 4 as in the query heads"},
        {With(field, Zeros({1, 4})), field.path + ".shape: got rank 2, want 1"},
        {With(field, Zeros({4}, v1::DATA_TYPE_BF16)),
         field.path + ".data_type: got DATA_TYPE_BF16, want DATA_TYPE_F32 or DATA_TYPE_F64"},
    });
  }
  ExpectRefused({
      {With(kFields[0], Floats({4}, {1, kNan, 1, 1})),
       "options.sinks: got another number at element 1, want any number but NaN"},
      {With(kFields[1], Floats({4}, {1, 1, kInfinity, 1})),
       "options.head_mask: got another number at element 2, want a finite number"},
      {With(kFields[1], Floats({4}, {1, 1, 1, kNan})),
       "options.head_mask: got another number at element 3, want a finite number"},
      {With(kFields[2], Floats({4}, {0, 1, 1, 1})),
       "options.temperature: got another number at element 0, want a finite number > 0"},
      {With(kFields[2], Floats({4}, {1, -1, 1, 1})),
       "options.temperature: got another number at element 1, want a finite number > 0"},
      {With(kFields[2], Floats({4}, {1, 1, 1, kInfinity})),
       "options.temperature: got another number at element 3, want a finite number > 0"},
  });
}

TEST(DecodeHeadNumbersTest, OffersSinksWithTheSoftmaxOverKeysAlone) {
  v1::AttentionOptions options = With(kFields[0], Zeros({4}));
  options.set_normalization(v1::NORMALIZATION_NONE);
  ExpectRefused(
      {{options, "options.sinks: not offered with options.normalization NORMALIZATION_NONE"}},
      test::TaskOf(), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace attention::server
