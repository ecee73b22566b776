#include "server/codec/score_codec.h"

#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/server/codec/messages.h"
#include "tests/server/codec/options_fixture.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::DecodeOptionsOf;
using test::ExpectRefused;
using test::IsOk;
using test::TaskOf;
using test::Zeros;
using testing::Optional;

// Queries of width 3 and keys of width 4.
AttentionTask WideKeys() {
  AttentionTask task = TaskOf();
  task.query.view.extents[3] = 3;
  task.key.view.extents[3] = 4;
  return task;
}

v1::AttentionOptions WithScale(double scale) {
  v1::AttentionOptions options;
  options.set_scale(scale);
  return options;
}

v1::AttentionOptions WithSoftcap(double softcap) {
  v1::AttentionOptions options;
  options.set_softcap(softcap);
  return options;
}

TEST(DecodeScoreTest, TellsAScaleOfZeroFromNone) {
  const auto none = DecodeOptionsOf({});
  ASSERT_THAT(none, IsOk());
  EXPECT_EQ(none->options.scale, std::nullopt);
  EXPECT_EQ(none->options.softcap, std::nullopt);
  EXPECT_EQ(none->options.score, kernels::ScoreKind::kDotProduct);
  const auto zero = DecodeOptionsOf(WithScale(0));
  ASSERT_THAT(zero, IsOk());
  EXPECT_THAT(zero->options.scale, Optional(0.0));
}

TEST(DecodeScoreTest, ReadsTheSoftcap) {
  const auto task = DecodeOptionsOf(WithSoftcap(30.5));
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->options.softcap, Optional(30.5));
}

TEST(DecodeScoreTest, ReadsTheGeneralScore) {
  v1::AttentionOptions options;
  *options.mutable_general_score()->mutable_weight() = Zeros({3, 4});
  const auto task = DecodeOptionsOf(options, WideKeys());
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

TEST(DecodeScoreTest, ReadsTheAdditiveScore) {
  const v1::AttentionOptions options = Additive();
  const auto task = DecodeOptionsOf(options, WideKeys());
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->options.score, kernels::ScoreKind::kAdditive);
  EXPECT_EQ(task->problem.score_first_weight.extents, (Extents{1, 1, 3, 6}));
  EXPECT_EQ(task->problem.score_second_weight.extents, (Extents{1, 1, 4, 6}));
  EXPECT_EQ(task->problem.score_vector.extents, (Extents{1, 1, 1, 6}));
  EXPECT_EQ(task->problem.score_vector.data, options.additive_score().vector().raw().data());
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

TEST(DecodeScoreTest, RefusesWhatContradictsTheContract) {
  v1::AttentionOptions no_weight;
  no_weight.mutable_general_score();
  const std::string additive = "options.additive_score.";
  ExpectRefused(
      {
          {WithScale(std::numeric_limits<double>::quiet_NaN()),
           "options.scale: got NaN, want a finite number"},
          {WithScale(-std::numeric_limits<double>::infinity()),
           "options.scale: got an infinity, want a finite number"},
          {WithSoftcap(0), "options.softcap: got 0, want a finite number > 0"},
          {WithSoftcap(-1.5), "options.softcap: got -1.5, want a finite number > 0"},
          {WithSoftcap(std::numeric_limits<double>::quiet_NaN()),
           "options.softcap: got NaN, want a finite number > 0"},
          {WithSoftcap(std::numeric_limits<double>::infinity()),
           "options.softcap: got an infinity, want a finite number > 0"},
          {no_weight, "options.general_score.weight: got nothing, want a tensor"},
          {WithGeneral(Zeros({4, 4})),
           "options.general_score.weight.shape[0]: got 4, want 3 as in the query width of one "
           "head"},
          {WithGeneral(Zeros({3, 3})),
           "options.general_score.weight.shape[1]: got 3, want 4 as in the key width of one head"},
          {WithGeneral(Zeros({12})), "options.general_score.weight.shape: got rank 1, want 2"},
          {WithGeneral(Zeros({3, 4}, v1::DATA_TYPE_F64)),
           "options.general_score.weight.data_type: got DATA_TYPE_F64, want DATA_TYPE_F32 as in "
           "the "
           "queries"},
          {ChangedAdditive([](auto& s) { s.clear_query_weight(); }),
           additive + "query_weight: got nothing, want a tensor"},
          {ChangedAdditive([](auto& s) { s.clear_key_weight(); }),
           additive + "key_weight: got nothing, want a tensor"},
          {ChangedAdditive([](auto& s) { s.clear_vector(); }),
           additive + "vector: got nothing, want a tensor"},
          {ChangedAdditive([](auto& s) { *s.mutable_query_weight() = Zeros({2, 6}); }),
           additive + "query_weight.shape[0]: got 2, want 3 as in the query width of one head"},
          {ChangedAdditive([](auto& s) { *s.mutable_query_weight() = Zeros({3, 0}); }),
           additive + "query_weight.shape[1]: got 0, want > 0"},
          {ChangedAdditive([](auto& s) { *s.mutable_key_weight() = Zeros({3, 6}); }),
           additive + "key_weight.shape[0]: got 3, want 4 as in the key width of one head"},
          {ChangedAdditive([](auto& s) { *s.mutable_key_weight() = Zeros({4, 5}); }),
           additive +
               "key_weight.shape[1]: got 5, want 6 as in options.additive_score.query_weight"},
          {ChangedAdditive([](auto& s) { *s.mutable_vector() = Zeros({7}); }),
           additive + "vector.shape[0]: got 7, want 6 as in options.additive_score.query_weight"},
          {ChangedAdditive([](auto& s) { *s.mutable_vector() = Zeros({1, 6}); }),
           additive + "vector.shape: got rank 2, want 1"},
      },
      WideKeys());
}

}  // namespace
}  // namespace attention::server
