#include "server/codec/ready_decoder.h"

#include <functional>
#include <string>
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
using Shape = std::vector<int64_t>;

Request Of(const Shape& query, const Shape& key, const Shape& value,
           v1::Layout layout = v1::LAYOUT_UNSPECIFIED) {
  Request request;
  *request.mutable_query() = Zeros(query);
  *request.mutable_key() = Zeros(key);
  *request.mutable_value() = Zeros(value);
  request.set_layout(layout);
  return request;
}

TEST(DecodeReadyTest, ReadsHeadsFirst) {
  for (const v1::Layout layout : {v1::LAYOUT_UNSPECIFIED, v1::LAYOUT_HEADS_FIRST}) {
    const Request request = Of({2, 4, 3, 8}, {2, 2, 5, 8}, {2, 2, 5, 6}, layout);
    const auto decoded = DecodeRequest(request);
    ASSERT_THAT(decoded, IsOk());
    const AttentionTask& task = decoded->task;
    EXPECT_EQ(task.query.view.data, request.query().raw().data());
    EXPECT_EQ(task.query.view.extents, (Extents{2, 4, 3, 8}));
    EXPECT_EQ(task.query.view.strides, (Extents{96, 24, 8, 1}));
    EXPECT_EQ(task.key.view.extents, (Extents{2, 2, 5, 8}));
    EXPECT_EQ(task.value.view.extents, (Extents{2, 2, 5, 6}));
    EXPECT_EQ(task.value.view.strides, (Extents{60, 30, 6, 1}));
    EXPECT_EQ(task.output_layout, OutputLayout::kHeadsFirst);
    EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 4, 3, 6));
    EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(2, 4, 3, 5));
  }
}

TEST(DecodeReadyTest, ReadsSequenceFirst) {
  const auto decoded =
      DecodeRequest(Of({2, 3, 4, 8}, {2, 5, 2, 8}, {2, 5, 2, 6}, v1::LAYOUT_SEQUENCE_FIRST));
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.query.view.extents, (Extents{2, 4, 3, 8}));
  EXPECT_EQ(decoded->task.query.view.strides, (Extents{96, 8, 32, 1}));
  EXPECT_EQ(decoded->task.value.view.extents, (Extents{2, 2, 5, 6}));
  EXPECT_EQ(decoded->task.value.view.strides, (Extents{60, 6, 12, 1}));
  EXPECT_EQ(decoded->task.output_layout, OutputLayout::kSequenceFirst);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 3, 4, 6));
}

TEST(DecodeReadyTest, ReadsPacked) {
  Request request = Of({2, 3, 32}, {2, 5, 16}, {2, 5, 12}, v1::LAYOUT_PACKED);
  request.set_head_count(4);
  request.set_key_value_head_count(2);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.query.view.extents, (Extents{2, 4, 3, 8}));
  EXPECT_EQ(decoded->task.query.view.strides, (Extents{96, 8, 32, 1}));
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{2, 2, 5, 8}));
  EXPECT_EQ(decoded->task.value.view.extents, (Extents{2, 2, 5, 6}));
  EXPECT_EQ(decoded->task.output_layout, OutputLayout::kSequenceFirst);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 3, 24));
  EXPECT_THAT(decoded->response_form.matrix_shape, ElementsAre(2, 4, 3, 5));
}

TEST(DecodeReadyTest, HasABatchAxisOnlyWhereTheRequestHas) {
  const auto heads_first = DecodeRequest(Of({4, 3, 8}, {4, 5, 8}, {4, 5, 6}));
  ASSERT_THAT(heads_first, IsOk());
  EXPECT_EQ(heads_first->task.query.view.extents, (Extents{1, 4, 3, 8}));
  EXPECT_THAT(heads_first->response_form.output_shape, ElementsAre(4, 3, 6));
  EXPECT_THAT(heads_first->response_form.matrix_shape, ElementsAre(4, 3, 5));
  Request packed = Of({3, 8}, {5, 8}, {5, 6}, v1::LAYOUT_PACKED);
  packed.set_head_count(2);
  const auto decoded = DecodeRequest(packed);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_EQ(decoded->task.key.view.extents, (Extents{1, 2, 5, 4}));
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(3, 6));
}

TEST(DecodeReadyTest, AcceptsHeadCountsThatRepeatTheShapes) {
  Request request = Of({4, 3, 8}, {2, 5, 8}, {2, 5, 8});
  request.set_head_count(4);
  request.set_key_value_head_count(2);
  EXPECT_THAT(DecodeRequest(request), IsOk());
}

TEST(DecodeReadyTest, AcceptsNoQueriesAndNoKeys) {
  EXPECT_THAT(DecodeRequest(Of({1, 0, 8}, {1, 5, 8}, {1, 5, 8})), IsOk());
  const auto no_keys = DecodeRequest(Of({1, 3, 8}, {1, 0, 8}, {1, 0, 8}));
  ASSERT_THAT(no_keys, IsOk());
  EXPECT_TRUE(no_keys->task.key.view.present());
  EXPECT_THAT(no_keys->response_form.matrix_shape, ElementsAre(1, 3, 0));
}

Request Packed(const Shape& query, const Shape& key, const Shape& value, int32_t heads,
               int32_t key_value_heads) {
  Request request = Of(query, key, value, v1::LAYOUT_PACKED);
  request.set_head_count(heads);
  request.set_key_value_head_count(key_value_heads);
  return request;
}

Request Changed(const std::function<void(Request&)>& change) {
  Request request = Of({2, 4, 3, 8}, {2, 2, 5, 8}, {2, 2, 5, 6});
  change(request);
  return request;
}

struct Refusal {
  Request request;
  std::string message;
};

std::vector<Refusal> Refusals() {
  return {
      {Changed([](Request& r) { r.clear_query(); }), "query: got nothing, want a tensor"},
      {Changed([](Request& r) { r.clear_key(); }), "key: got nothing, want a tensor"},
      {Changed([](Request& r) { r.clear_value(); }), "value: got nothing, want a tensor"},
      {Changed([](Request& r) { r.set_layout(static_cast<v1::Layout>(9)); }),
       "layout: got 9, want 0 to 3"},
      {Changed([](Request& r) { r.mutable_query()->set_data_type(v1::DATA_TYPE_INT32); }),
       "query.data_type: got DATA_TYPE_INT32, want DATA_TYPE_F32, F16, BF16 or F64"},
      {Changed([](Request& r) { r.set_head_count(3); }),
       "head_count: got 3, want 0 or 4 as in the shapes"},
      {Changed([](Request& r) { r.set_head_count(-4); }),
       "head_count: got -4, want 0 or 4 as in the shapes"},
      {Changed([](Request& r) { r.set_key_value_head_count(4); }),
       "key_value_head_count: got 4, want 0 or 2 as in the shapes"},
      {Changed([](Request& r) {
         *r.mutable_value() = Zeros({2, 2, 5, 6}, v1::DATA_TYPE_F64);
       }),
       "value.data_type: got DATA_TYPE_F64, want DATA_TYPE_F32 as in query"},
      {Of({3, 8}, {3, 8}, {3, 8}), "query.shape: got rank 2, want 3 or 4"},
      {Of({2, 4, 3, 8}, {2, 5, 8}, {2, 5, 8}), "key.shape: got rank 3, want 4 as in query"},
      {Of({2, 4, 3, 8}, {1, 4, 5, 8}, {1, 4, 5, 8}), "key.shape[0]: got 1, want 2 as in query"},
      {Of({0, 3, 8}, {1, 5, 8}, {1, 5, 8}), "query.shape[0]: got 0, want > 0"},
      {Of({1, 3, 8}, {0, 5, 8}, {0, 5, 8}), "key.shape[0]: got 0, want > 0"},
      {Of({1025, 1, 1}, {1, 1, 1}, {1, 1, 1}), "query.shape[0]: got 1025, want <= 1024"},
      {Of({1, 3, 0}, {1, 5, 0}, {1, 5, 8}), "query.shape[2]: got 0, want > 0"},
      {Of({1, 3, 1025}, {1, 5, 8}, {1, 5, 8}), "query.shape[2]: got 1025, want <= 1024"},
      {Of({1, 1048577, 1}, {1, 5, 1}, {1, 5, 1}), "query.shape[1]: got 1048577, want <= 1048576"},
      {Of({65537, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}),
       "query.shape[0]: got 65537, want <= 65536"},
      {Of({4, 3, 8}, {3, 5, 8}, {3, 5, 8}),
       "key.shape[0]: got 3, want a divisor of query.shape[0] 4"},
      {Of({4, 3, 8}, {2, 5, 8}, {4, 5, 8}), "value.shape[0]: got 4, want 2 as in key"},
      {Of({4, 3, 8}, {2, 5, 8}, {2, 6, 8}), "value.shape[1]: got 6, want 5 as in key"},
      {Of({4, 3, 8}, {2, 5, 7}, {2, 5, 8}),
       "key.shape[2]: got 7 per head, want 8 per head as in query.shape[2]"},
      {Of({3, 4, 8}, {5, 3, 8}, {5, 3, 8}, v1::LAYOUT_SEQUENCE_FIRST),
       "key.shape[1]: got 3, want a divisor of query.shape[1] 4"},
      {Packed({3, 8}, {5, 8}, {5, 8}, 0, 0), "head_count: got 0, want > 0 with LAYOUT_PACKED"},
      {Packed({3, 8}, {5, 8}, {5, 8}, -1, 0), "head_count: got -1, want >= 0"},
      {Packed({3, 8}, {5, 8}, {5, 8}, 4, 3),
       "key_value_head_count: got 3, want a divisor of head_count 4"},
      {Packed({3, 9}, {5, 8}, {5, 8}, 2, 0),
       "query.shape[1]: got 9, want a multiple of head_count 2"},
      {Packed({3, 8}, {5, 7}, {5, 8}, 4, 2),
       "key.shape[1]: got 7, want a multiple of key_value_head_count 2"},
      {Packed({3, 8}, {5, 8}, {5, 9}, 2, 0),
       "value.shape[1]: got 9, want a multiple of head_count 2"},
      {Packed({3, 8}, {5, 6}, {5, 8}, 2, 0),
       "key.shape[1]: got 3 per head, want 4 per head as in query.shape[1]"},
      {Packed({3, 2050}, {5, 8}, {5, 8}, 2, 0), "query.shape[1]: got 1025 per head, want <= 1024"},
      {Packed({1, 1, 3, 8}, {5, 8}, {5, 8}, 2, 0), "query.shape: got rank 4, want 2 or 3"},
  };
}

TEST(DecodeReadyTest, RefusesWhatContradictsTheContract) {
  for (const Refusal& refusal : Refusals()) {
    EXPECT_THAT(DecodeRequest(refusal.request),
                StatusIs(absl::StatusCode::kInvalidArgument, refusal.message));
  }
}

}  // namespace
}  // namespace attention::server
