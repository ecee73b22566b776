#include "server/codec/past_codec.h"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/codec/request_decoder.h"
#include "tests/server/codec/messages.h"
#include "tests/support/status_matchers.h"

namespace attention::server {
namespace {

using kernels::Extents;
using test::IsOk;
using test::StatusIs;
using test::Zeros;
using testing::ElementsAre;

using Request = v1::ScaledDotProductAttentionRequest;

// Two batch entries, 4 query and 2 key-value heads, 7 past keys and 5 new ones.
Request WithPast() {
  Request request;
  *request.mutable_query() = Zeros({2, 4, 3, 8});
  *request.mutable_key() = Zeros({2, 2, 5, 8});
  *request.mutable_value() = Zeros({2, 2, 5, 6});
  *request.mutable_past_key() = Zeros({2, 2, 7, 8});
  *request.mutable_past_value() = Zeros({2, 2, 7, 6});
  return request;
}

TEST(DecodePastTest, JoinsPastAndNewRowsAndCountsBothAsKeys) {
  Request request = WithPast();
  request.set_return_present(true);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  const AttentionTask& task = decoded->task;
  EXPECT_EQ(task.key.view.extents, (Extents{2, 2, 12, 8}));
  EXPECT_EQ(task.value.view.extents, (Extents{2, 2, 12, 6}));
  ASSERT_TRUE(task.key.joined.has_value() && task.value.joined.has_value());
  EXPECT_EQ(task.key.joined->past.data, request.past_key().raw().data());
  EXPECT_EQ(task.key.joined->past.extents, (Extents{2, 2, 7, 8}));
  EXPECT_EQ(task.key.joined->added.data, request.key().raw().data());
  EXPECT_EQ(task.value.joined->past.data, request.past_value().raw().data());
  EXPECT_EQ(task.value.joined->added.extents, (Extents{2, 2, 5, 6}));
  EXPECT_TRUE(task.return_present);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 4, 3, 6));
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(2, 4, 3, 12));
  EXPECT_THAT(decoded->response_form.present_key_shape, ElementsAre(2, 2, 12, 8));
  EXPECT_THAT(decoded->response_form.present_value_shape, ElementsAre(2, 2, 12, 6));
  EXPECT_TRUE(Validate(task).ok()) << Validate(task);
}

TEST(DecodePastTest, TakesPastRowsHeadsFirstWhateverTheLayout) {
  Request request;
  *request.mutable_query() = Zeros({3, 32});
  *request.mutable_key() = Zeros({5, 16});
  *request.mutable_value() = Zeros({5, 12});
  request.set_layout(v1::LAYOUT_PACKED);
  request.set_head_count(4);
  request.set_key_value_head_count(2);
  *request.mutable_past_key() = Zeros({2, 7, 8});
  *request.mutable_past_value() = Zeros({2, 7, 6});
  request.set_return_present(true);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.joined->past.strides, (Extents{112, 56, 8, 1}));
  EXPECT_EQ(decoded->task.key.joined->added.strides, (Extents{80, 8, 16, 1}));
  EXPECT_THAT(decoded->response_form.present_key_shape, ElementsAre(2, 12, 8));
  EXPECT_TRUE(Validate(decoded->task).ok()) << Validate(decoded->task);
}

TEST(DecodePastTest, ReadsKeysInPlaceWhereNothingIsJoined) {
  Request request = WithPast();
  for (const bool empty_past : {true, false}) {
    if (empty_past) {
      *request.mutable_past_key() = Zeros({2, 2, 0, 8});
      *request.mutable_past_value() = Zeros({2, 2, 0, 6});
    } else {
      request.clear_past_key();
      request.clear_past_value();
    }
    const auto decoded = DecodeRequest(request);
    ASSERT_THAT(decoded, IsOk());
    EXPECT_TRUE(decoded->task.key.ready());
    EXPECT_EQ(decoded->task.key.view.data, request.key().raw().data());
    EXPECT_EQ(decoded->task.value.view.data, request.value().raw().data());
  }
}

TEST(DecodePastTest, ReturnsThePresentWithoutAPastToo) {
  Request request = WithPast();
  request.clear_past_key();
  request.clear_past_value();
  request.set_return_present(true);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_TRUE(Validate(decoded->task).ok()) << Validate(decoded->task);
  EXPECT_THAT(decoded->response_form.present_key_shape, ElementsAre(2, 2, 5, 8));
}

TEST(DecodePastTest, AcceptsAPastWithoutNewKeys) {
  Request request = WithPast();
  *request.mutable_key() = Zeros({2, 2, 0, 8});
  *request.mutable_value() = Zeros({2, 2, 0, 6});
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.view.extents[2], 7);
}

TEST(DecodePastTest, CountsPastKeysInMasksAndAlignments) {
  Request request = WithPast();
  request.mutable_options()->mutable_causal()->set_alignment(v1::CAUSAL_ALIGNMENT_BOTTOM_RIGHT);
  *request.mutable_options()->mutable_boolean_mask() = Zeros({3, 12}, v1::DATA_TYPE_BOOL);
  *request.mutable_options()->mutable_key_lengths() =
      test::Floats({2}, {12, 8}, v1::DATA_TYPE_INT32);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(ProblemOf(decoded->task).query_offset, 12 - 3);
  EXPECT_THAT(ProblemOf(decoded->task).key_lengths, ElementsAre(12, 8));
  EXPECT_EQ(decoded->task.problem.boolean_mask.extents, (Extents{2, 4, 3, 12}));
}

TEST(DecodePastTest, RefusesWhatContradictsTheContract) {
  using Change = std::function<void(Request&)>;
  const auto key = [](const std::vector<int64_t>& shape, v1::DataType type) -> Change {
    return [=](Request& request) { *request.mutable_past_key() = Zeros(shape, type); };
  };
  constexpr v1::DataType kF32 = v1::DATA_TYPE_F32;
  const std::vector<std::pair<Change, std::string>> refusals = {
      {[](Request& request) { request.clear_past_key(); },
       "past_key: got nothing, want both past_key and past_value, or neither"},
      {[](Request& request) { request.clear_past_value(); },
       "past_value: got nothing, want both past_key and past_value, or neither"},
      {key({2, 2, 7, 8}, v1::DATA_TYPE_BF16),
       "past_key.data_type: got DATA_TYPE_BF16, want DATA_TYPE_F32 as in key"},
      {key({2, 2, 7, 8}, v1::DATA_TYPE_BOOL),
       "past_key.data_type: got DATA_TYPE_BOOL, want DATA_TYPE_F32, F16, BF16 or F64"},
      {key({2, 7, 8}, kF32), "past_key.shape: got rank 3, want 4"},
      {key({7, 8}, kF32), "past_key.shape: got rank 2, want 3 or 4"},
      {key({1, 2, 7, 8}, kF32), "past_key.shape[0]: got 1, want 2 as in key"},
      {key({2, 4, 7, 8}, kF32), "past_key.shape[1]: got 4, want 2 as in key"},
      {key({2, 2, 7, 6}, kF32), "past_key.shape[3]: got 6, want 8 as in key"},
      {key({2, 2, 6, 8}, kF32), "past_value.shape[2]: got 7, want 6 as in past_key"},
      {[](Request& request) { *request.mutable_past_value() = Zeros({2, 2, 7, 8}); },
       "past_value.shape[3]: got 8, want 6 as in value"},
      {[](Request& request) {
         *request.mutable_query() = Zeros({1, 1, 1});
         *request.mutable_key() = Zeros({1, 2, 1});
         *request.mutable_value() = Zeros({1, 2, 1});
         *request.mutable_past_key() = Zeros({1, 1048575, 1});
         *request.mutable_past_value() = Zeros({1, 1048575, 1});
       },
       "past_key.shape[1]: got 1048575, want <= 1048576 together with the 2 rows of key"},
  };
  for (const auto& [change, message] : refusals) {
    Request request = WithPast();
    change(request);
    EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kInvalidArgument, message));
  }
}

}  // namespace
}  // namespace attention::server
