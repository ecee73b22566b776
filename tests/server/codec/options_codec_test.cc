#include "server/codec/options_codec.h"

#include <iterator>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::IsOk;
using test::StatusIs;
using test::Zeros;
using testing::Optional;

// Queries of width 3 and keys of width 4.
absl::StatusOr<AttentionTask> Decode(const v1::AttentionOptions& options,
                                     kernels::DataType type = kernels::DataType::kF32) {
  static auto& storage = *new std::vector<Buffer>();
  TensorReader reader(storage);
  AttentionTask task;
  task.type = type;
  task.query.view.extents = {1, 1, 2, 3};
  task.key.view.extents = {1, 1, 2, 4};
  if (absl::Status status = DecodeOptions(options, reader, task); !status.ok()) return status;
  return task;
}

TEST(DecodeOptionsTest, HasDefaults) {
  const auto task = Decode({});
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.scale, std::nullopt);
  EXPECT_EQ(task->options.score, kernels::ScoreKind::kDotProduct);
  EXPECT_EQ(task->options.normalization, kernels::Normalization::kSoftmaxOverKeys);
  EXPECT_EQ(task->options.scores, kernels::ScoresOutput::kNone);
  EXPECT_FALSE(task->return_weights);
}

TEST(DecodeOptionsTest, TellsAScaleOfZeroFromNone) {
  v1::AttentionOptions options;
  options.set_scale(0);
  const auto task = Decode(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->options.scale, Optional(0.0));
}

TEST(DecodeOptionsTest, ReadsEveryEnumerator) {
  v1::AttentionOptions options;
  options.set_return_weights(true);
  options.set_normalization(v1::NORMALIZATION_SOFTMAX_OVER_QUERIES);
  options.set_return_scores(v1::SCORES_KIND_RAW);
  auto task = Decode(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_TRUE(task->return_weights);
  EXPECT_EQ(task->options.normalization, kernels::Normalization::kSoftmaxOverQueries);
  EXPECT_EQ(task->options.scores, kernels::ScoresOutput::kRaw);
  options.set_normalization(v1::NORMALIZATION_NONE);
  options.set_return_scores(v1::SCORES_KIND_MASKED);
  task = Decode(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.normalization, kernels::Normalization::kNone);
  EXPECT_EQ(task->options.scores, kernels::ScoresOutput::kMasked);
  options.set_normalization(v1::NORMALIZATION_SOFTMAX_OVER_KEYS);
  task = Decode(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.normalization, kernels::Normalization::kSoftmaxOverKeys);
}

TEST(DecodeOptionsTest, ReadsTheGeneralScore) {
  v1::AttentionOptions options;
  *options.mutable_general_score()->mutable_weight() = Zeros({3, 4});
  const auto task = Decode(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.score, kernels::ScoreKind::kGeneral);
  EXPECT_EQ(task->problem.score_first_weight.extents, (Extents{1, 1, 3, 4}));
  EXPECT_EQ(task->problem.score_first_weight.data, options.general_score().weight().raw().data());
}

v1::AttentionOptions Additive() {
  v1::AttentionOptions options;
  *options.mutable_additive_score()->mutable_query_weight() = Zeros({3, 6});
  *options.mutable_additive_score()->mutable_key_weight() = Zeros({4, 6});
  *options.mutable_additive_score()->mutable_vector() = Zeros({6});
  return options;
}

TEST(DecodeOptionsTest, ReadsTheAdditiveScore) {
  const v1::AttentionOptions options = Additive();
  const auto task = Decode(options);
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.score, kernels::ScoreKind::kAdditive);
  EXPECT_EQ(task->problem.score_first_weight.extents, (Extents{1, 1, 3, 6}));
  EXPECT_EQ(task->problem.score_second_weight.extents, (Extents{1, 1, 4, 6}));
  EXPECT_EQ(task->problem.score_vector.extents, (Extents{1, 1, 1, 6}));
  EXPECT_EQ(task->problem.score_vector.data, options.additive_score().vector().raw().data());
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
    const auto task = Decode(WithPrecision(wire));
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
    EXPECT_THAT(Decode({}, type), IsOk());
    for (int number = 1; number <= v1::Precision_MAX; ++number) {
      const auto precision = static_cast<v1::Precision>(number);
      EXPECT_THAT(Decode(WithPrecision(precision), type),
                  StatusIs(absl::StatusCode::kInvalidArgument,
                           "options.precision: got " + v1::Precision_Name(precision) +
                               ", want PRECISION_UNSPECIFIED where the data_type of the queries "
                               "is " +
                               name));
    }
  }
}

struct Refusal {
  v1::AttentionOptions options;
  std::string message;
};

v1::AttentionOptions WithScale(double scale) {
  v1::AttentionOptions options;
  options.set_scale(scale);
  return options;
}

v1::AttentionOptions WithGeneral(const v1::Tensor& weight) {
  v1::AttentionOptions options;
  *options.mutable_general_score()->mutable_weight() = weight;
  return options;
}

template <typename Change>
v1::AttentionOptions ChangedAdditive(Change change) {
  v1::AttentionOptions options = Additive();
  change(*options.mutable_additive_score());
  return options;
}

std::vector<Refusal> Refusals() {
  v1::AttentionOptions no_weight;
  no_weight.mutable_general_score();
  v1::AttentionOptions bad_normalization;
  bad_normalization.set_normalization(static_cast<v1::Normalization>(-1));
  v1::AttentionOptions bad_scores;
  bad_scores.set_return_scores(static_cast<v1::ScoresKind>(3));
  const std::string additive = "options.additive_score.";
  return {
      {WithScale(std::numeric_limits<double>::quiet_NaN()),
       "options.scale: got NaN, want a finite number"},
      {WithScale(-std::numeric_limits<double>::infinity()),
       "options.scale: got an infinity, want a finite number"},
      {bad_normalization, "options.normalization: got -1, want 0 to 3"},
      {bad_scores, "options.return_scores: got 3, want 0 to 2"},
      {WithPrecision(static_cast<v1::Precision>(6)), "options.precision: got 6, want 0 to 5"},
      {WithPrecision(static_cast<v1::Precision>(-1)), "options.precision: got -1, want 0 to 5"},
      {no_weight, "options.general_score.weight: got nothing, want a tensor"},
      {WithGeneral(Zeros({4, 4})),
       "options.general_score.weight.shape[0]: got 4, want 3 as in the query width of one head"},
      {WithGeneral(Zeros({3, 3})),
       "options.general_score.weight.shape[1]: got 3, want 4 as in the key width of one head"},
      {WithGeneral(Zeros({12})), "options.general_score.weight.shape: got rank 1, want 2"},
      {WithGeneral(Zeros({3, 4}, v1::DATA_TYPE_F64)),
       "options.general_score.weight.data_type: got DATA_TYPE_F64, want DATA_TYPE_F32 as in the "
       "queries"},
      {ChangedAdditive([](auto& s) { s.clear_query_weight(); }),
       additive + "query_weight: got nothing, want a tensor"},
      {ChangedAdditive([](auto& s) { s.clear_key_weight(); }),
       additive + "key_weight: got nothing, want a tensor"},
      {ChangedAdditive([](auto& s) { s.clear_vector(); }),
       additive + "vector: got nothing, want a tensor"},
      {ChangedAdditive([](auto& s) {
         *s.mutable_query_weight() = Zeros({2, 6});
       }),
       additive + "query_weight.shape[0]: got 2, want 3 as in the query width of one head"},
      {ChangedAdditive([](auto& s) {
         *s.mutable_query_weight() = Zeros({3, 0});
       }),
       additive + "query_weight.shape[1]: got 0, want > 0"},
      {ChangedAdditive([](auto& s) {
         *s.mutable_key_weight() = Zeros({3, 6});
       }),
       additive + "key_weight.shape[0]: got 3, want 4 as in the key width of one head"},
      {ChangedAdditive([](auto& s) {
         *s.mutable_key_weight() = Zeros({4, 5});
       }),
       additive + "key_weight.shape[1]: got 5, want 6 as in options.additive_score.query_weight"},
      {ChangedAdditive([](auto& s) { *s.mutable_vector() = Zeros({7}); }),
       additive + "vector.shape[0]: got 7, want 6 as in options.additive_score.query_weight"},
      {ChangedAdditive([](auto& s) {
         *s.mutable_vector() = Zeros({1, 6});
       }),
       additive + "vector.shape: got rank 2, want 1"},
  };
}

TEST(DecodeOptionsTest, RefusesWhatContradictsTheContract) {
  for (const Refusal& refusal : Refusals()) {
    EXPECT_THAT(Decode(refusal.options),
                StatusIs(absl::StatusCode::kInvalidArgument, refusal.message));
  }
}

}  // namespace
}  // namespace attention::server
