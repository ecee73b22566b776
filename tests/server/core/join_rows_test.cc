#include "server/core/join_rows.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "tests/support/thread_executor.h"

namespace attention::server {
namespace {

using kernels::DataType;
using kernels::DenseView;
using kernels::Extents;
using kernels::MutableTensorView;
using kernels::TensorView;

// Numbers that tell where they stand.
std::vector<uint16_t> Numbers(int64_t count, uint16_t first) {
  std::vector<uint16_t> numbers(static_cast<size_t>(count));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<uint16_t>(first + 7 * i);
  return numbers;
}

uint16_t At(const TensorView& view, const Extents& index) {
  int64_t offset = 0;
  for (size_t axis = 0; axis < 4; ++axis) offset += index[axis] * view.strides[axis];
  return static_cast<const uint16_t*>(view.data)[offset];
}

struct Shape {
  int64_t batch, heads, past, added, width;
};

// Past rows heads first, added ones with the heads side by side or heads first.
void ExpectJoined(const Shape& shape, bool added_heads_first, int thread_count) {
  const auto [batch, heads, past, added, width] = shape;
  const std::vector<uint16_t> past_numbers = Numbers(batch * heads * past * width, 1);
  const std::vector<uint16_t> added_numbers = Numbers(batch * heads * added * width, 40000);
  JoinedRows source;
  source.past = DenseView(past_numbers.data(), DataType::kF16, {batch, heads, past, width});
  source.added = DenseView(added_numbers.data(), DataType::kF16, {batch, heads, added, width});
  if (!added_heads_first) {
    source.added.strides = {added * heads * width, width, heads * width, 1};
  }
  const Extents extents = {batch, heads, past + added, width};
  std::vector<uint16_t> joined(static_cast<size_t>(kernels::ElementCount(extents)));
  const MutableTensorView rows = DenseView(joined.data(), DataType::kF16, extents);
  test::ThreadExecutor executor(thread_count);
  const RowsToJoin join = {source, rows};
  JoinRows({&join, 1}, {.executor = &executor, .stop = nullptr});
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t r = 0; r < past + added; ++r) {
        for (int64_t c = 0; c < width; ++c) {
          const uint16_t want =
              r < past ? At(source.past, {b, h, r, c}) : At(source.added, {b, h, r - past, c});
          ASSERT_EQ(At(rows, {b, h, r, c}), want) << b << ' ' << h << ' ' << r << ' ' << c;
        }
      }
    }
  }
}

TEST(JoinRowsTest, PutsAddedRowsAfterPastOnesInEveryHead) {
  for (const bool heads_first : {true, false}) {
    for (const Shape& shape :
         {Shape{1, 1, 1, 1, 1}, Shape{2, 3, 5, 4, 7}, Shape{2, 1, 3, 0, 4}, Shape{1, 2, 0, 3, 5}}) {
      ExpectJoined(shape, heads_first, 1);
    }
  }
}

// Rows of more than a block, so that joints lie within, at the beginning and at the end of one.
TEST(JoinRowsTest, SharesOutLongRowsInBlocks) {
  for (const bool heads_first : {true, false}) {
    for (const int64_t past : {0, 1023, 1024, 1025, 4000}) {
      ExpectJoined({2, 2, past, 1500, 128}, heads_first, 3);
    }
  }
}

TEST(JoinRowsTest, JoinsSeveralArraysAtOnce) {
  const std::vector<uint16_t> numbers = Numbers(64, 1);
  std::vector<RowsToJoin> joins;
  std::vector<std::vector<uint16_t>> joined;
  joined.reserve(3);
  for (const int64_t width : {1, 4, 2}) {
    RowsToJoin join;
    join.source.past = DenseView(numbers.data(), DataType::kF16, {1, 2, 3, width});
    join.source.added = DenseView(numbers.data(), DataType::kF16, {1, 2, 1, width});
    joined.emplace_back(static_cast<size_t>(2 * 4 * width));
    join.rows = DenseView(joined.back().data(), DataType::kF16, {1, 2, 4, width});
    joins.push_back(join);
  }
  JoinRows(joins, {});
  EXPECT_EQ(joined[0], (std::vector<uint16_t>{1, 8, 15, 1, 22, 29, 36, 8}));
  EXPECT_EQ(joined[2], (std::vector<uint16_t>{1, 8, 15, 22, 29, 36, 1, 8,  //
                                              43, 50, 57, 64, 71, 78, 15, 22}));
}

TEST(JoinRowsTest, JoinsNothing) {
  JoinRows({}, {});
  RowsToJoin join;
  join.source.past.extents = join.source.added.extents = {0, 2, 3, 4};
  join.rows.extents = {0, 2, 6, 4};
  JoinRows({&join, 1}, {});
}

TEST(JoinRowsTest, CopiesNothingOnceStopped) {
  const std::vector<uint16_t> numbers = Numbers(2, 1);
  std::vector<uint16_t> joined(4, 9);
  RowsToJoin join;
  join.source.past = DenseView(numbers.data(), DataType::kF16, {1, 1, 2, 1});
  join.source.added = join.source.past;
  join.rows = DenseView(joined.data(), DataType::kF16, {1, 1, 4, 1});
  const test::StopAfter stop(1);
  JoinRows({&join, 1}, {.executor = nullptr, .stop = &stop});
  EXPECT_EQ(joined, (std::vector<uint16_t>{9, 9, 9, 9}));
}

}  // namespace
}  // namespace attention::server
