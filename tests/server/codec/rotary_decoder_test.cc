#include "server/codec/rotary_decoder.h"

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

using Request = v1::ApplyRotaryEmbeddingRequest;

// [2, 3 heads, 5, 8], all of each row turning, by positions out of 7.
Request ByPosition() {
  Request request;
  *request.mutable_input() = Zeros({2, 3, 5, 8});
  *request.mutable_cos() = Zeros({7, 4});
  *request.mutable_sin() = Zeros({7, 4});
  *request.mutable_position_ids() = Zeros({2, 5}, v1::DATA_TYPE_INT64);
  return request;
}

// [2, 5, 3 heads * 8], 4 numbers of each row turning, a row of the tables for each.
Request ByRow() {
  Request request;
  *request.mutable_input() = Zeros({2, 5, 24});
  request.set_head_count(3);
  request.set_rotary_width(4);
  *request.mutable_cos() = Zeros({2, 5, 2});
  *request.mutable_sin() = Zeros({2, 5, 2});
  return request;
}

TEST(DecodeRotaryTest, ReadsHeadsFirstRowsAndTheirPositionsInPlace) {
  Request request = ByPosition();
  request.set_head_count(3);
  request.set_interleaved(true);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  const RotaryTask& task = decoded->task;
  EXPECT_EQ(task.input.data, request.input().raw().data());
  EXPECT_EQ(task.input.extents, (Extents{2, 3, 5, 8}));
  EXPECT_EQ(task.input.strides, (Extents{120, 40, 8, 1}));
  EXPECT_EQ(task.tables.cosines.data, request.cos().raw().data());
  EXPECT_EQ(task.tables.sines.data, request.sin().raw().data());
  EXPECT_EQ(task.tables.sines.extents, (Extents{1, 1, 7, 4}));
  ASSERT_NE(task.tables.row_positions, nullptr);
  EXPECT_EQ(task.tables.row_positions[9], 0);
  EXPECT_EQ(task.tables.width, 8);
  EXPECT_TRUE(task.tables.interleaved);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 3, 5, 8));
  EXPECT_FALSE(decoded->task.sends_floats);
  EXPECT_THAT(Validate(task), IsOk());
}

TEST(DecodeRotaryTest, ReadsPackedRowsWithTablesOfTheirOwn) {
  const Request request = ByRow();
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  const RotaryTask& task = decoded->task;
  EXPECT_EQ(task.input.extents, (Extents{2, 3, 5, 8}));
  EXPECT_EQ(task.input.strides, (Extents{120, 8, 24, 1}));
  EXPECT_EQ(task.tables.cosines.extents, (Extents{2, 1, 5, 2}));
  EXPECT_EQ(task.tables.row_positions, nullptr);
  EXPECT_EQ(task.tables.width, 4);
  EXPECT_FALSE(task.tables.interleaved);
  EXPECT_THAT(decoded->response_form.output_shape, ElementsAre(2, 5, 24));
  EXPECT_THAT(Validate(task), IsOk());
}

TEST(DecodeRotaryTest, ReadsPositionsOfEveryForm) {
  for (const v1::DataType type : {v1::DATA_TYPE_INT32, v1::DATA_TYPE_INT64}) {
    Request request = ByPosition();
    *request.mutable_position_ids() = Floats({2, 5}, {0, 1, 2, 3, 4, 6, 5, 4, 3, 2}, type);
    const auto decoded = DecodeRequest(request);
    ASSERT_THAT(decoded, IsOk());
    EXPECT_THAT(std::vector<int64_t>(decoded->task.tables.row_positions,
                                     decoded->task.tables.row_positions + 10),
                ElementsAre(0, 1, 2, 3, 4, 6, 5, 4, 3, 2));
  }
}

TEST(DecodeRotaryTest, AnswersInFloatsWhereAllCameSo) {
  Request request;
  *request.mutable_input() = Floats({1, 1, 1, 2}, {1, 2});
  *request.mutable_cos() = Floats({1, 1}, {1});
  *request.mutable_sin() = Floats({1, 1}, {0});
  *request.mutable_position_ids() = Floats({1, 1}, {0}, v1::DATA_TYPE_INT32);
  const auto decoded = DecodeRequest(request);
  ASSERT_THAT(decoded, IsOk());
  EXPECT_TRUE(decoded->task.sends_floats);
}

TEST(DecodeRotaryTest, TakesEmptyBatchesAndSequences) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{0, 3, 5, 8}, {2, 3, 0, 8}}) {
    Request request = ByPosition();
    *request.mutable_input() = Zeros(shape);
    *request.mutable_position_ids() = Zeros({shape[0], shape[2]}, v1::DATA_TYPE_INT32);
    const auto decoded = DecodeRequest(request);
    ASSERT_THAT(decoded, IsOk());
    EXPECT_NE(decoded->task.tables.row_positions, nullptr);
    EXPECT_THAT(Validate(decoded->task), IsOk());
  }
}

struct Refusal {
  Request base;
  std::function<void(Request&)> change;
  std::string message;
};

std::vector<Refusal> BadInputs() {
  return {
      {ByPosition(), [](Request& r) { r.clear_input(); }, "input: got nothing, want a tensor"},
      {ByPosition(), [](Request& r) { *r.mutable_input() = Zeros({5, 8}); },
       "input.shape: got rank 2, want 3 or 4"},
      {ByPosition(),
       [](Request& r) { *r.mutable_input() = Zeros({2, 3, 5, 8}, v1::DATA_TYPE_BOOL); },
       "input.data_type: got DATA_TYPE_BOOL, want DATA_TYPE_F32, F16, BF16 or F64"},
      {ByPosition(), [](Request& r) { *r.mutable_input() = Zeros({2, 0, 5, 8}); },
       "input.shape[1]: got 0, want > 0"},
      {ByPosition(), [](Request& r) { *r.mutable_input() = Zeros({2, 3, 5, 0}); },
       "input.shape[3]: got 0, want > 0"},
      {ByPosition(), [](Request& r) { *r.mutable_input() = Zeros({2, 1, 1, 1026}); },
       "input.shape[3]: got 1026, want <= 1024"},
      {ByPosition(), [](Request& r) { *r.mutable_input() = Zeros({2, 3, 5, 7}); },
       "input.shape[3]: got 7 per head, want an even width with rotary_width 0"},
      {ByPosition(), [](Request& r) { r.set_head_count(2); },
       "head_count: got 2, want 0 or 3 as in the shapes"},
      {ByPosition(), [](Request& r) { r.set_head_count(-1); }, "head_count: got -1, want >= 0"},
      {ByRow(), [](Request& r) { r.clear_head_count(); },
       "head_count: got 0, want > 0 with an input of rank 3"},
      {ByRow(), [](Request& r) { r.set_head_count(5); },
       "input.shape[2]: got 24, want a multiple of head_count 5"},
      {ByRow(), [](Request& r) { r.set_rotary_width(10); }, "rotary_width: got 10, want <= 8"},
      {ByRow(), [](Request& r) { r.set_rotary_width(-2); }, "rotary_width: got -2, want >= 0"},
      {ByRow(), [](Request& r) { r.set_rotary_width(3); },
       "rotary_width: got 3, want an even number"},
  };
}

std::vector<Refusal> BadTables() {
  return {
      {ByRow(), [](Request& r) { r.clear_cos(); }, "cos: got nothing, want a tensor"},
      {ByRow(), [](Request& r) { r.clear_sin(); }, "sin: got nothing, want a tensor"},
      {ByRow(), [](Request& r) { *r.mutable_cos() = Zeros({2, 5, 2}, v1::DATA_TYPE_F16); },
       "cos.data_type: got DATA_TYPE_F16, want DATA_TYPE_F32 as in input"},
      {ByRow(), [](Request& r) { *r.mutable_cos() = Zeros({7, 2}); },
       "cos.shape: got rank 2, want 3 without position_ids"},
      {ByRow(), [](Request& r) { *r.mutable_sin() = Zeros({1, 5, 2}); },
       "sin.shape[0]: got 1, want 2 as in input"},
      {ByRow(), [](Request& r) { *r.mutable_sin() = Zeros({2, 4, 2}); },
       "sin.shape[1]: got 4, want 5 as in input"},
      {ByRow(), [](Request& r) { *r.mutable_sin() = Zeros({2, 5, 4}); },
       "sin.shape[2]: got 4, want 2 as in half of the rotary width"},
      {ByPosition(), [](Request& r) { *r.mutable_cos() = Zeros({2, 5, 4}); },
       "cos.shape: got rank 3, want 2 with position_ids"},
      {ByPosition(), [](Request& r) { *r.mutable_sin() = Zeros({6, 4}); },
       "sin.shape[0]: got 6, want 7 as in cos"},
      {ByPosition(), [](Request& r) { *r.mutable_cos() = Zeros({7, 8}); },
       "cos.shape[1]: got 8, want 4 as in half of the rotary width"},
      {ByPosition(), [](Request& r) { *r.mutable_position_ids() = Zeros({2, 5}); },
       "position_ids.data_type: got DATA_TYPE_F32, want DATA_TYPE_INT32 or DATA_TYPE_INT64"},
      {ByPosition(),
       [](Request& r) { *r.mutable_position_ids() = Zeros({10}, v1::DATA_TYPE_INT64); },
       "position_ids.shape: got rank 1, want 2"},
      {ByPosition(),
       [](Request& r) { *r.mutable_position_ids() = Zeros({1, 5}, v1::DATA_TYPE_INT64); },
       "position_ids.shape[0]: got 1, want 2 as in input"},
      {ByPosition(),
       [](Request& r) { *r.mutable_position_ids() = Zeros({2, 4}, v1::DATA_TYPE_INT64); },
       "position_ids.shape[1]: got 4, want 5 as in input"},
      {ByPosition(),
       [](Request& r) {
         *r.mutable_position_ids() =
             Floats({2, 5}, {0, 0, 0, 7, 0, 0, 0, 0, 0, 0}, v1::DATA_TYPE_INT32);
       },
       "position_ids: got another number at element 3, want >= 0 and < cos.shape[0] 7"},
      {ByPosition(),
       [](Request& r) {
         *r.mutable_position_ids() =
             Floats({2, 5}, {0, -1, 0, 0, 0, 0, 0, 0, 0, 0}, v1::DATA_TYPE_INT64);
       },
       "position_ids: got another number at element 1, want >= 0 and < cos.shape[0] 7"},
  };
}

TEST(DecodeRotaryTest, RefusesWhatContradictsTheContract) {
  for (const auto& refusals : {BadInputs(), BadTables()}) {
    for (const auto& [base, change, message] : refusals) {
      Request request = base;
      change(request);
      EXPECT_THAT(DecodeRequest(request), StatusIs(absl::StatusCode::kInvalidArgument, message));
    }
  }
}

}  // namespace
}  // namespace attention::server
