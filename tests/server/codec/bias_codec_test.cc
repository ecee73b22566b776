#include "server/codec/bias_codec.h"

#include <cstdint>
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

using test::DecodeOptionsOf;
using test::ExpectRefused;
using test::Floats;
using test::IsOk;
using test::TaskOf;
using test::Zeros;
using testing::ElementsAre;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

v1::AttentionOptions WithAlibi(const v1::Tensor& slopes) {
  v1::AttentionOptions options;
  *options.mutable_alibi()->mutable_slopes() = slopes;
  return options;
}

TEST(DecodeBiasesTest, ReadsAlibi) {
  v1::AttentionOptions options = WithAlibi(Floats({4}, {1, 0.5, 0.25, -2}));
  auto task = DecodeOptionsOf(options, TaskOf(5));
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.alibi.slopes, ElementsAre(1, 0.5, 0.25, -2));
  EXPECT_FALSE(task->problem.alibi.symmetric);
  options.mutable_alibi()->set_symmetric(true);
  task = DecodeOptionsOf(options, TaskOf(5));
  ASSERT_THAT(task, IsOk());
  EXPECT_TRUE(task->problem.alibi.symmetric);
}

v1::AttentionOptions WithTable(const v1::Tensor& table, int64_t maximum_distance = 0,
                               bool bidirectional = false) {
  v1::AttentionOptions options;
  *options.mutable_relative_position_bias()->mutable_table() = table;
  options.mutable_relative_position_bias()->set_maximum_distance(maximum_distance);
  options.mutable_relative_position_bias()->set_bidirectional(bidirectional);
  return options;
}

TEST(DecodeBiasesTest, ReadsTheTableOfBuckets) {
  auto task = DecodeOptionsOf(WithTable(Floats({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})), TaskOf(5));
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.bucketed_bias.table, ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_EQ(task->problem.bucketed_bias.bucket_count, 2);
  EXPECT_EQ(task->problem.bucketed_bias.maximum_distance, 128);
  EXPECT_FALSE(task->problem.bucketed_bias.bidirectional);
  task = DecodeOptionsOf(WithTable(Zeros({4096, 4}), 1025, true), TaskOf(5));
  ASSERT_THAT(task, IsOk());
  EXPECT_EQ(task->problem.bucketed_bias.bucket_count, 4096);
  EXPECT_EQ(task->problem.bucketed_bias.maximum_distance, 1025);
  EXPECT_TRUE(task->problem.bucketed_bias.bidirectional);
}

v1::AttentionOptions WithRotary(double base, double position_scale, int64_t width) {
  v1::AttentionOptions options;
  options.mutable_rotary_embedding()->set_base(base);
  options.mutable_rotary_embedding()->set_position_scale(position_scale);
  options.mutable_rotary_embedding()->set_width(width);
  return options;
}

TEST(DecodeBiasesTest, ReadsTheRotaryEmbedding) {
  v1::AttentionOptions options = WithRotary(500, -0.5, 6);
  options.mutable_rotary_embedding()->set_interleaved(true);
  auto task = DecodeOptionsOf(options, TaskOf(5));
  ASSERT_THAT(task, IsOk());
  ASSERT_TRUE(task->problem.rotary.has_value());
  EXPECT_EQ(task->problem.rotary->base, 500);
  EXPECT_EQ(task->problem.rotary->position_scale, -0.5);
  EXPECT_EQ(task->problem.rotary->width, 6);
  EXPECT_TRUE(task->problem.rotary->interleaved);

  v1::AttentionOptions defaults;
  defaults.mutable_rotary_embedding();
  task = DecodeOptionsOf(defaults, TaskOf(5));
  ASSERT_THAT(task, IsOk());
  ASSERT_TRUE(task->problem.rotary.has_value());
  EXPECT_EQ(task->problem.rotary->base, 10000);
  EXPECT_EQ(task->problem.rotary->position_scale, 1);
  EXPECT_EQ(task->problem.rotary->width, 0);
  EXPECT_FALSE(task->problem.rotary->interleaved);
}

TEST(DecodeBiasesTest, RefusesWhatContradictsTheContract) {
  v1::AttentionOptions no_slopes;
  no_slopes.mutable_alibi();
  v1::AttentionOptions no_table;
  no_table.mutable_relative_position_bias();
  const std::string table = "options.relative_position_bias.table";
  const std::string distance = "options.relative_position_bias.maximum_distance";
  ExpectRefused(
      {
          {no_slopes, "options.alibi.slopes: got nothing, want a tensor"},
          {WithAlibi(Zeros({3})),
           "options.alibi.slopes.shape[0]: got 3, want 4 as in the query "
           "heads"},
          {WithAlibi(Floats({4}, {0, 0, 0, static_cast<float>(kInfinity)})),
           "options.alibi.slopes: got another number at element 3, want a finite number"},
          {no_table, table + ": got nothing, want a tensor"},
          {WithTable(Zeros({32})), table + ".shape: got rank 1, want 2"},
          {WithTable(Zeros({32, 3})), table + ".shape[1]: got 3, want 4 as in the query heads"},
          {WithTable(Zeros({0, 4})), table + ".shape[0]: got 0, want >= 2"},
          {WithTable(Zeros({2, 4}), 0, true), table + ".shape[0]: got 2, want >= 4"},
          {WithTable(Zeros({4098, 4})), table + ".shape[0]: got 4098, want <= 4096"},
          {WithTable(Zeros({7, 4})), table + ".shape[0]: got 7, want an even number"},
          {WithTable(Zeros({4, 4}, v1::DATA_TYPE_F16)),
           table + ".data_type: got DATA_TYPE_F16, want DATA_TYPE_F32 or DATA_TYPE_F64"},
          {WithTable(Floats({2, 4}, {0, 0, 0, 0, 0, static_cast<float>(kNan), 0, 0})),
           table + ": got another number at element 5, want a finite number"},
          {WithTable(Zeros({32, 4}), 16), distance + ": got 16, want > 16 with 32 buckets"},
          {WithTable(Zeros({32, 4}), 8, true), distance + ": got 8, want > 8 with 32 buckets"},
          {WithTable(Zeros({512, 4})), distance + ": got 128, want > 256 with 512 buckets"},
          {WithTable(Zeros({32, 4}), -1), distance + ": got -1, want >= 0"},
          {WithTable(Zeros({32, 4}), (int64_t{1} << 31) + 1),
           distance + ": got 2147483649, want <= 2147483648"},
          {WithRotary(0, 1, 0), "options.rotary_embedding.base: got 0, want a finite number > 0"},
          {WithRotary(kNan, 1, 0),
           "options.rotary_embedding.base: got NaN, want a finite number > 0"},
          {WithRotary(1, kInfinity, 0),
           "options.rotary_embedding.position_scale: got an infinity, want a finite number"},
          {WithRotary(1, 1, -2), "options.rotary_embedding.width: got -2, want >= 0"},
          {WithRotary(1, 1, 10), "options.rotary_embedding.width: got 10, want <= 8"},
          {WithRotary(1, 1, 3), "options.rotary_embedding.width: got 3, want an even number"},
      },
      TaskOf(5));
}

TEST(DecodeBiasesTest, RefusesToTurnAllOfAnOddWidth) {
  AttentionTask task = TaskOf(5);
  task.query.view.extents[3] = task.key.view.extents[3] = 7;
  ExpectRefused({{WithRotary(1, 1, 0),
                  "options.rotary_embedding.width: got 0, want an even number, since the key width "
                  "of one head is 7"}},
                task);
  EXPECT_THAT(DecodeOptionsOf(WithRotary(1, 1, 6), task), IsOk());
}

TEST(DecodeBiasesTest, OffersTheRotaryEmbeddingWithTheDotProductAlone) {
  v1::AttentionOptions general = WithRotary(1, 1, 0);
  *general.mutable_general_score()->mutable_weight() = Zeros({8, 8});
  v1::AttentionOptions additive = WithRotary(1, 1, 0);
  *additive.mutable_additive_score()->mutable_query_weight() = Zeros({8, 2});
  *additive.mutable_additive_score()->mutable_key_weight() = Zeros({8, 2});
  *additive.mutable_additive_score()->mutable_vector() = Zeros({2});
  const std::string refusal = "options.rotary_embedding: not offered with options.";
  ExpectRefused({{general, refusal + "general_score"}, {additive, refusal + "additive_score"}},
                TaskOf(5), absl::StatusCode::kUnimplemented);
}

}  // namespace
}  // namespace attention::server
