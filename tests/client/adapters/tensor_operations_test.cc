#include "client/adapters/tensor_operations.h"

#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::vector<float> kSix = {1, 2, 3, 4, 5, 6};
const std::vector<double> kTwo = {10, 20};

TensorValue Bools(Shape shape, std::vector<double> numbers) {
  return TensorValue::FromDoubles(DataType::kBool, std::move(shape), numbers).value();
}

TEST(TensorOperationsTest, AnAdaptedRequestKeepsWhatItBorrowsFromWhenItMoves) {
  using Adapted = AdaptedRequest<TensorRef>;
  static_assert(!std::is_copy_constructible_v<Adapted> && !std::is_copy_assignable_v<Adapted>);
  Adapted adapted;
  adapted.request = adapted.Keep(Bools({2}, {1, 0}));
  const Adapted moved = std::move(adapted);
  EXPECT_THAT(ToDoubles(moved.request), ElementsAre(1, 0));
}

TEST(TensorOperationsTest, TransposingExchangesTheFirstTwoAxes) {
  const TensorValue matrix = Transposed(TensorRef(kSix, {2, 3}));
  EXPECT_THAT(matrix.shape(), ElementsAre(3, 2));
  EXPECT_THAT(matrix.ToDoubles(), ElementsAre(1, 4, 2, 5, 3, 6));
  const TensorValue rows = Transposed(TensorRef(kSix, {3, 1, 2}));
  EXPECT_THAT(rows.shape(), ElementsAre(1, 3, 2));
  EXPECT_THAT(rows.ToDoubles(), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(Transposed(TensorRef(std::vector<float>(), {0, 3})).shape(), ElementsAre(3, 0));
}

TEST(TensorOperationsTest, ASliceAndANewShapeBorrow) {
  const TensorRef rows = Slice(TensorRef(kSix, {3, 2}), 1, 2);
  EXPECT_THAT(rows.shape(), ElementsAre(2, 2));
  EXPECT_THAT(ToDoubles(rows), ElementsAre(3, 4, 5, 6));
  EXPECT_EQ(Reshaped(rows, {4}).bytes().data(), rows.bytes().data());
}

TEST(TensorOperationsTest, OneMoreColumnIsZero) {
  const TensorValue wider = WithOneMoreColumn(TensorRef(kSix, {2, 3}));
  EXPECT_THAT(wider.shape(), ElementsAre(2, 4));
  EXPECT_THAT(wider.ToDoubles(), ElementsAre(1, 2, 3, 0, 4, 5, 6, 0));
  const std::vector<float> none;
  EXPECT_THAT(WithOneMoreColumn(TensorRef(none, {0, 3})).shape(), ElementsAre(0, 4));
  const TensorValue first = WithOneMoreColumn(TensorRef(none, {2, 0}));
  EXPECT_THAT(first.shape(), ElementsAre(2, 1));
  EXPECT_THAT(first.ToDoubles(), ElementsAre(0, 0));
}

TEST(TensorOperationsTest, MasksAreInvertedAndMadeInfinite) {
  const TensorValue mask = Bools({3}, {1, 0, 1});
  EXPECT_THAT(Inverted(mask.ref()).ToDoubles(), ElementsAre(0, 1, 0));
  const double infinity = std::numeric_limits<double>::infinity();
  const TensorValue added = InfiniteWhere(mask.ref(), DataType::kF16);
  EXPECT_EQ(added.type(), DataType::kF16);
  EXPECT_THAT(added.ToDoubles(), ElementsAre(-infinity, 0, -infinity));
}

TEST(TensorOperationsTest, AndBroadcastsBothWays) {
  const TensorValue rows = Bools({2, 1}, {1, 0});
  const TensorValue columns = Bools({3}, {1, 0, 1});
  const TensorValue both = And(rows.ref(), columns.ref()).value();
  EXPECT_THAT(both.shape(), ElementsAre(2, 3));
  EXPECT_THAT(both.ToDoubles(), ElementsAre(1, 0, 1, 0, 0, 0));
  EXPECT_THAT(std::string(And(columns.ref(), Bools({2}, {1, 1}).ref()).status().message()),
              HasSubstr("[3] and [2] do not broadcast"));
}

TEST(TensorOperationsTest, SumsHaveTheTypeOfTheFirst) {
  const TensorValue sum = Sum(TensorRef(kSix, {3, 2}), TensorRef(kTwo, {1, 2})).value();
  EXPECT_EQ(sum.type(), DataType::kF32);
  EXPECT_THAT(sum.ToDoubles(), ElementsAre(11, 22, 13, 24, 15, 26));
}

TEST(TensorOperationsTest, RowsThatAreNotKeptAreZeroEvenIfTheyWereNaN) {
  const std::vector<float> numbers = {1, 2, std::nanf(""), 4};
  const TensorValue kept = Bools({1, 2}, {1, 0});
  EXPECT_THAT(ZeroedRows(TensorRef(numbers, {1, 2, 2}), kept.ref()).ToDoubles(),
              ElementsAre(1, 2, 0, 0));
}

}  // namespace
}  // namespace attention::client
