#include "server/codec/batch_integers.h"

#include <cstdint>
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
using test::Floats;
using test::IsOk;
using test::Raw;
using test::StatusIs;
using test::TaskOf;
using test::Zeros;
using testing::ElementsAre;

v1::AttentionOptions WithLengths(const v1::Tensor& lengths) {
  v1::AttentionOptions options;
  *options.mutable_key_lengths() = lengths;
  return options;
}

TEST(DecodeKeyLengthsTest, ReadsEveryForm) {
  for (const v1::Tensor& lengths :
       {Raw<int32_t>({2}, {0, 5}, v1::DATA_TYPE_INT32),
        Raw<int64_t>({2}, {0, 5}, v1::DATA_TYPE_INT64), Floats({2}, {0, 5}, v1::DATA_TYPE_INT32)}) {
    const auto task = DecodeOptionsOf(WithLengths(lengths));
    ASSERT_THAT(task, IsOk());
    EXPECT_THAT(task->problem.key_lengths, ElementsAre(0, 5));
  }
}

TEST(DecodeKeyLengthsTest, RefusesWhatContradictsTheContract) {
  const auto lengths = [](const std::vector<int64_t>& values) {
    return WithLengths(
        Raw<int64_t>({static_cast<int64_t>(values.size())}, values, v1::DATA_TYPE_INT64));
  };
  ExpectRefused({
      {WithLengths(Zeros({2})),
       "options.key_lengths.data_type: got DATA_TYPE_F32, want DATA_TYPE_INT32 or DATA_TYPE_INT64"},
      {WithLengths(Zeros({2, 1}, v1::DATA_TYPE_INT32)),
       "options.key_lengths.shape: got rank 2, want 1"},
      {lengths({1}), "options.key_lengths.shape[0]: got 1, want 2 as in the batch"},
      {lengths({1, 6}), "options.key_lengths: got another length at element 1, want 0 to 5"},
      {lengths({-1, 5}), "options.key_lengths: got another length at element 0, want 0 to 5"},
  });
}

v1::AttentionOptions WithSegments(const v1::Tensor& query, const v1::Tensor* key) {
  v1::AttentionOptions options;
  *options.mutable_query_segments() = query;
  if (key != nullptr) *options.mutable_key_segments() = *key;
  return options;
}

v1::Tensor Integers(const std::vector<int64_t>& shape, const std::vector<int32_t>& numbers) {
  return Raw<int32_t>(shape, numbers, v1::DATA_TYPE_INT32);
}

TEST(DecodeSegmentsTest, ReadsSegmentsOfQueriesAndKeys) {
  const v1::Tensor keys = Integers({2, 2}, {5, -6, 7, 8});
  const v1::AttentionOptions options = WithSegments(Integers({2, 1}, {-6, 7}), &keys);
  const auto task = DecodeOptionsOf(options, TaskOf(1, 2));
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.query_segments, ElementsAre(-6, 7));
  EXPECT_THAT(task->problem.key_segments, ElementsAre(5, -6, 7, 8));
}

TEST(DecodeSegmentsTest, HasABatchAxisOnlyWhereTheRequestHas) {
  AttentionTask task = TaskOf(2, 2);
  task.query.view.extents[0] = task.key.view.extents[0] = 1;
  const v1::AttentionOptions options = WithSegments(Integers({2}, {3, 4}), nullptr);
  const auto decoded = DecodeOptionsOf(options, task, false);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_THAT(decoded->problem.query_segments, ElementsAre(3, 4));
  EXPECT_THAT(DecodeOptionsOf(options, task, true),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.query_segments.shape: got rank 1, want 2"));
  EXPECT_THAT(DecodeOptionsOf(WithSegments(Integers({1, 2}, {3, 4}), nullptr), task, false),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "options.query_segments.shape: got rank 2, want 1"));
}

TEST(DecodeSegmentsTest, TakesTheQueriesSegmentsForTheKeysWhereThereAreAsMany) {
  const v1::AttentionOptions options = WithSegments(Integers({2, 2}, {1, 2, 3, 4}), nullptr);
  const auto task = DecodeOptionsOf(options, TaskOf(2, 2));
  ASSERT_THAT(task, IsOk());
  EXPECT_THAT(task->problem.key_segments, ElementsAre(1, 2, 3, 4));
}

TEST(DecodeSegmentsTest, RefusesWhatContradictsTheContract) {
  const v1::Tensor query = Zeros({2, 3}, v1::DATA_TYPE_INT32);
  const v1::Tensor keys = Zeros({2, 5}, v1::DATA_TYPE_INT32);
  const v1::Tensor few_keys = Zeros({2, 4}, v1::DATA_TYPE_INT32);
  const v1::Tensor long_keys = Zeros({2, 5}, v1::DATA_TYPE_INT64);
  v1::AttentionOptions keys_alone;
  *keys_alone.mutable_key_segments() = keys;
  ExpectRefused({
      {keys_alone, "options.query_segments: got nothing, want a tensor with options.key_segments"},
      {WithSegments(query, nullptr),
       "options.key_segments: got nothing, want a tensor, since there are 3 queries and 5 keys"},
      {WithSegments(Zeros({3, 3}, v1::DATA_TYPE_INT32), &keys),
       "options.query_segments.shape[0]: got 3, want 2 as in the batch"},
      {WithSegments(Zeros({2, 4}, v1::DATA_TYPE_INT32), &keys),
       "options.query_segments.shape[1]: got 4, want 3 as in the queries"},
      {WithSegments(Zeros({2, 3}), &keys),
       "options.query_segments.data_type: got DATA_TYPE_F32, want DATA_TYPE_INT32"},
      {WithSegments(query, &few_keys),
       "options.key_segments.shape[1]: got 4, want 5 as in the keys"},
      {WithSegments(query, &long_keys),
       "options.key_segments.data_type: got DATA_TYPE_INT64, want DATA_TYPE_INT32"},
  });
}

}  // namespace
}  // namespace attention::server
