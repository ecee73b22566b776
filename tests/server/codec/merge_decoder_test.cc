#include "server/codec/merge_decoder.h"

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
using test::Floats;
using test::IsOk;
using test::StatusIs;
using test::Zeros;
using testing::ElementsAre;

using Request = v1::MergeAttentionStatesRequest;

Request WithStates(int count, const std::vector<int64_t>& shape,
                   v1::DataType type = v1::DATA_TYPE_F32) {
  Request request;
  const v1::DataType log_sum_exp_type = type == v1::DATA_TYPE_F64 ? type : v1::DATA_TYPE_F32;
  for (int i = 0; i < count; ++i) {
    v1::AttentionState& state = *request.add_states();
    *state.mutable_output() = Zeros(shape, type);
    *state.mutable_log_sum_exp() = Zeros({shape.begin(), shape.end() - 1}, log_sum_exp_type);
  }
  return request;
}

TEST(DecodeMergeTest, ReadsStatesInPlaceWithABatchAxisOrWithout) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{2, 3, 5, 8}, {3, 5, 8}}) {
    for (const v1::DataType type :
         {v1::DATA_TYPE_F32, v1::DATA_TYPE_F16, v1::DATA_TYPE_BF16, v1::DATA_TYPE_F64}) {
      const Request request = WithStates(3, shape, type);
      const auto decoded = DecodeRequest(request);
      ASSERT_THAT(decoded, IsOk());
      ASSERT_EQ(decoded->task.states.size(), 3U);
      const int64_t batch = shape.size() == 4 ? 2 : 1;
      for (int i = 0; i < 3; ++i) {
        const kernels::AttentionState& state = decoded->task.states[static_cast<size_t>(i)];
        EXPECT_EQ(state.output.data, request.states(i).output().raw().data());
        EXPECT_EQ(state.output.extents, (Extents{batch, 3, 5, 8}));
        EXPECT_EQ(state.log_sum_exp.data, request.states(i).log_sum_exp().raw().data());
        EXPECT_EQ(state.log_sum_exp.extents, (Extents{batch, 3, 5, 1}));
      }
      EXPECT_EQ(decoded->response_form.output_shape, shape);
      EXPECT_FALSE(decoded->task.sends_floats);
      EXPECT_THAT(Validate(decoded->task), IsOk());
    }
  }
}

TEST(DecodeMergeTest, AnswersInFloatsWhereAllCameSo) {
  Request request;
  v1::AttentionState& state = *request.add_states();
  *state.mutable_output() = Floats({1, 1, 2}, {1, 2});
  *state.mutable_log_sum_exp() = Floats({1, 1}, {0});
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_TRUE(decoded->task.sends_floats);
}

TEST(DecodeMergeTest, TakesAsManyStatesAsItPromises) {
  EXPECT_THAT(DecodeRequest(WithStates(1024, {1, 1, 1})), IsOk());
  EXPECT_THAT(DecodeRequest(WithStates(1025, {1, 1, 1})),
              StatusIs(absl::StatusCode::kInvalidArgument, "states: got 1025, want <= 1024"));
}

TEST(DecodeMergeTest, RefusesWhatContradictsTheContract) {
  const std::vector<std::pair<std::function<void(Request&)>, std::string>> refusals = {
      {[](Request& r) { r.clear_states(); }, "states: got nothing, want at least one state"},
      {[](Request& r) { r.mutable_states(1)->clear_output(); },
       "states[1].output: got nothing, want a tensor"},
      {[](Request& r) { r.mutable_states(0)->clear_log_sum_exp(); },
       "states[0].log_sum_exp: got nothing, want a tensor"},
      {[](Request& r) { *r.mutable_states(0)->mutable_output() = Zeros({5, 8}); },
       "states[0].output.shape: got rank 2, want 3 or 4"},
      {[](Request& r) { *r.mutable_states(0)->mutable_output() = Zeros({3, 5, 0}); },
       "states[0].output.shape[2]: got 0, want > 0"},
      {[](Request& r) {
         *r.mutable_states(0)->mutable_output() = Zeros({3, 5, 8}, v1::DATA_TYPE_INT32);
       },
       "states[0].output.data_type: got DATA_TYPE_INT32, want DATA_TYPE_F32, F16, BF16 or F64"},
      {[](Request& r) {
         *r.mutable_states(1)->mutable_output() = Zeros({3, 5, 8}, v1::DATA_TYPE_F16);
       },
       "states[1].output.data_type: got DATA_TYPE_F16, want DATA_TYPE_F32 as in states[0].output"},
      {[](Request& r) { *r.mutable_states(1)->mutable_output() = Zeros({1, 3, 5, 8}); },
       "states[1].output.shape: got rank 4, want 3 as in states[0].output"},
      {[](Request& r) { *r.mutable_states(1)->mutable_output() = Zeros({3, 4, 8}); },
       "states[1].output.shape[1]: got 4, want 5 as in states[0].output"},
      {[](Request& r) { *r.mutable_states(1)->mutable_output() = Zeros({3, 5, 6}); },
       "states[1].output.shape[2]: got 6, want 8 as in states[0].output"},
      {[](Request& r) {
         *r.mutable_states(1)->mutable_log_sum_exp() = Zeros({3, 5}, v1::DATA_TYPE_F64);
       },
       "states[1].log_sum_exp.data_type: got DATA_TYPE_F64, want DATA_TYPE_F32 with an output of "
       "DATA_TYPE_F32"},
      {[](Request& r) { *r.mutable_states(1)->mutable_log_sum_exp() = Zeros({3, 5, 1}); },
       "states[1].log_sum_exp.shape: got rank 3, want 2"},
      {[](Request& r) { *r.mutable_states(1)->mutable_log_sum_exp() = Zeros({3, 4}); },
       "states[1].log_sum_exp.shape[1]: got 4, want 5 as in states[1].output"},
  };
  for (const auto& [change, message] : refusals) {
    Request request = WithStates(2, {3, 5, 8});
    change(request);
    EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kInvalidArgument, message));
  }
}

}  // namespace
}  // namespace attention::server
