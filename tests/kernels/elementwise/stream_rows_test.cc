#include "kernels/elementwise/stream_rows.h"

#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/convert.h"

namespace attention::kernels {
namespace {

// Numbers that every type holds, and whose sums of products are exact in f32 in any order.
class ExactNumbers {
 public:
  double Next() { return std::uniform_int_distribution<int>(-16, 16)(engine_) / 8.0; }

 private:
  std::mt19937 engine_{7};
};

// Rows of a type with gaps between them that no one may read.
class TestRows {
 public:
  TestRows(DataType type, int64_t row_count, int64_t width, ExactNumbers& numbers)
      : type_(type), row_count_(row_count), width_(width), stride_(width + 3) {
    elements_.assign(static_cast<size_t>(row_count * stride_),
                     std::numeric_limits<double>::quiet_NaN());
    for (int64_t row = 0; row < row_count; ++row) {
      for (int64_t column = 0; column < width; ++column) At(row, column) = numbers.Next();
    }
    bytes_.resize(elements_.size() * ElementBytes(type));
    StoreElements(type, elements_.data(), static_cast<int64_t>(elements_.size()), bytes_.data());
  }

  double& At(int64_t row, int64_t column) {
    return elements_[static_cast<size_t>(row * stride_ + column)];
  }
  [[nodiscard]] const std::byte* data() const { return bytes_.data(); }
  [[nodiscard]] int64_t stride_bytes() const {
    return stride_ * static_cast<int64_t>(ElementBytes(type_));
  }
  [[nodiscard]] StreamedRows Stream() const {
    return {.type = type_,
            .data = data(),
            .row_stride_bytes = stride_bytes(),
            .row_count = row_count_,
            .width = width_};
  }

 private:
  DataType type_;
  int64_t row_count_;
  int64_t width_;
  int64_t stride_;
  std::vector<double> elements_;
  std::vector<std::byte> bytes_;
};

struct Shape {
  int64_t row_count;
  int64_t width;
  int64_t few_rows;
};

// Around vectors, pairs, blocks of columns and rows, steps and pieces.
std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const int64_t width :
       {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 80, 127, 128, 129, 200, 256}) {
    for (const int64_t few_rows : {1, 2, 3, 4, 5, 9}) shapes.push_back({37, width, few_rows});
  }
  for (const int64_t row_count : {1, 2, 3, 4, 5, 31, 32, 33, 63, 64, 65, 66, 255, 256, 257}) {
    for (const int64_t width : {3, 64, 128}) shapes.push_back({row_count, width, 4});
  }
  return shapes;
}

std::string Describe(const Shape& shape) {
  return "rows " + std::to_string(shape.row_count) + ", width " + std::to_string(shape.width) +
         ", few rows " + std::to_string(shape.few_rows);
}

class StreamRowsTest : public testing::TestWithParam<DataType> {};

TEST_P(StreamRowsTest, DotProductsAreExact) {
  ExactNumbers numbers;
  for (const Shape& shape : Shapes()) {
    SCOPED_TRACE(Describe(shape));
    TestRows rows(GetParam(), shape.row_count, shape.width, numbers);
    TestRows queries(QueryRowType(GetParam()), shape.few_rows, shape.width, numbers);
    const int64_t stride = shape.row_count + 2;
    std::vector<float> products(static_cast<size_t>(shape.few_rows * stride), -1.0f);
    DotStreamedRows(rows.Stream(), {queries.data(), queries.stride_bytes(), shape.few_rows},
                    {products.data(), stride, shape.few_rows});
    for (int64_t few = 0; few < shape.few_rows; ++few) {
      for (int64_t row = 0; row < stride; ++row) {
        double want = row < shape.row_count ? 0 : -1;  // what lies behind a row is not touched
        for (int64_t column = 0; column < shape.width && row < shape.row_count; ++column) {
          want += queries.At(few, column) * rows.At(row, column);
        }
        ASSERT_EQ(products[static_cast<size_t>(few * stride + row)], want) << few << ", " << row;
      }
    }
  }
}

TEST_P(StreamRowsTest, WeightedSumsAreExact) {
  ExactNumbers numbers;
  for (const Shape& shape : Shapes()) {
    SCOPED_TRACE(Describe(shape));
    TestRows rows(GetParam(), shape.row_count, shape.width, numbers);
    std::vector<float> weights(static_cast<size_t>(shape.few_rows * shape.row_count));
    for (float& weight : weights) weight = static_cast<float>(numbers.Next());
    const int64_t stride = shape.width + 2;
    std::vector<float> sums(static_cast<size_t>(shape.few_rows * stride), -1.0f);
    SumStreamedRows(rows.Stream(), {weights.data(), shape.row_count, shape.few_rows},
                    {sums.data(), stride, shape.few_rows});
    for (int64_t few = 0; few < shape.few_rows; ++few) {
      for (int64_t column = 0; column < stride; ++column) {
        double want = column < shape.width ? 0 : -1;
        for (int64_t row = 0; row < shape.row_count && column < shape.width; ++row) {
          want += static_cast<double>(weights[static_cast<size_t>(few * shape.row_count + row)]) *
                  rows.At(row, column);
        }
        ASSERT_EQ(sums[static_cast<size_t>(few * stride + column)], want) << few << ", " << column;
      }
    }
  }
}

TEST_P(StreamRowsTest, TheSumOfNoRowsIsZero) {
  StreamedRows none;
  none.type = GetParam();
  none.width = 5;
  float weight = 1;
  std::vector<float> sums(5, -1.0f);
  SumStreamedRows(none, {&weight, 1, 1}, {sums.data(), 5, 1});
  EXPECT_EQ(sums, std::vector<float>(5, 0.0f));
}

// Sums that are not exact: the order of the additions shows.
TEST_P(StreamRowsTest, LeavingRowsOutDoesNotChangeTheOrderOfTheOthers) {
  ExactNumbers numbers;
  for (const int64_t width : {3, 64, 80, 128, 200}) {
    TestRows rows(GetParam(), 131, width, numbers);
    std::vector<float> weights(131);
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = 1.0f / static_cast<float>(i + 3);
    for (size_t i = 0; i < weights.size(); i += 5) weights[i] = 0;
    std::vector<float> sums(static_cast<size_t>(width));
    std::vector<float> sums_except(static_cast<size_t>(width));
    SumStreamedRows(rows.Stream(), {weights.data(), 131, 1}, {sums.data(), width, 1});
    SumStreamedRowsExcept(rows.Stream(), {weights.data(), 131, 1}, 0,
                          {sums_except.data(), width, 1});
    ASSERT_EQ(std::memcmp(sums.data(), sums_except.data(), sums.size() * sizeof(float)), 0)
        << width;
  }
}

// What comes next is only fetched: results are the same, wherever and however wide it is.
TEST_P(StreamRowsTest, RowsThatComeNextTakeNoPart) {
  ExactNumbers numbers;
  TestRows rows(GetParam(), 130, 128, numbers);
  TestRows queries(QueryRowType(GetParam()), 3, 128, numbers);
  TestRows next(GetParam(), 130, 40, numbers);
  StreamedRows with_next = rows.Stream();
  with_next.next = next.data();
  with_next.next_row_stride_bytes = next.stride_bytes();
  with_next.next_row_bytes = RowBytes(next.Stream());
  std::vector<float> products(3 * 130);
  std::vector<float> products_with_next(3 * 130);
  const QueryRows query_rows = {queries.data(), queries.stride_bytes(), 3};
  DotStreamedRows(rows.Stream(), query_rows, {products.data(), 130, 3});
  DotStreamedRows(with_next, query_rows, {products_with_next.data(), 130, 3});
  EXPECT_EQ(products, products_with_next);
}

INSTANTIATE_TEST_SUITE_P(Types, StreamRowsTest,
                         testing::Values(DataType::kF32, DataType::kF16, DataType::kBF16),
                         [](const testing::TestParamInfo<DataType>& type) {
                           return std::string(Name(type.param));
                         });

}  // namespace
}  // namespace attention::kernels
