#include "client/tensor.h"

#include <array>
#include <cmath>
#include <limits>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TensorRefTest, KnowsTheTypeOfItsElements) {
  EXPECT_EQ(TensorRef(std::vector<float>{1}, {1}).type(), DataType::kF32);
  EXPECT_EQ(TensorRef(std::vector<double>{1}, {1}).type(), DataType::kF64);
  EXPECT_EQ(TensorRef(std::vector<Float16>(1), {1}).type(), DataType::kF16);
  EXPECT_EQ(TensorRef(std::vector<BFloat16>(1), {1}).type(), DataType::kBF16);
  EXPECT_EQ(TensorRef(std::array<bool, 1>{true}, {1}).type(), DataType::kBool);
  EXPECT_EQ(TensorRef(std::vector<int32_t>{1}, {1}).type(), DataType::kInt32);
  EXPECT_EQ(TensorRef(std::vector<int64_t>{1}, {1}).type(), DataType::kInt64);
}

TEST(TensorRefTest, BorrowsItsElements) {
  const std::vector<float> elements = {1, 2};
  const TensorRef tensor(std::span<const float>(elements), {2});
  EXPECT_EQ(static_cast<const void*>(tensor.bytes().data()), elements.data());
  EXPECT_EQ(tensor.bytes().size(), 8u);
}

TEST(TensorRefTest, RefusesAShapeThatItsElementsDoNotFill) {
  const std::vector<float> elements(6);
  EXPECT_TRUE(TensorRef(elements, {2, 3}).Validate().ok());
  EXPECT_FALSE(TensorRef(elements, {2, 4}).Validate().ok());
  EXPECT_FALSE(TensorRef(elements, {-2, -3}).Validate().ok());
  const int64_t huge = int64_t{1} << 62;
  EXPECT_FALSE(TensorRef(elements, {huge, 4}).Validate().ok());
  EXPECT_FALSE(TensorRef(DataType::kF32, {1}, std::as_bytes(std::span(elements)).subspan(0, 3))
                   .Validate()
                   .ok());
}

TEST(TensorRefTest, RefusesABooleanThatIsNeitherZeroNorOne) {
  const std::array<uint8_t, 2> bytes = {1, 2};
  const TensorRef tensor(DataType::kBool, {2}, std::as_bytes(std::span(bytes)));
  EXPECT_EQ(tensor.Validate(), absl::InvalidArgumentError("element 1 of a BOOL is 2, want 0 or 1"));
}

TEST(ElementCountTest, AnEmptyAxisMakesAnyShapeEmpty) {
  const int64_t huge = int64_t{1} << 62;
  EXPECT_EQ(ElementCount({huge, huge, 0}).value(), 0);
  EXPECT_FALSE(ElementCount({huge, huge}).ok());
}

TEST(TensorValueTest, GivesItsElementsInPlaceOnlyAsTheirType) {
  const TensorValue tensor =
      TensorValue::FromDoubles(DataType::kF32, {3}, std::vector<double>{1, 2, 3}).value();
  EXPECT_THAT(tensor.As<float>().value(), ElementsAre(1, 2, 3));
  EXPECT_THAT(tensor.As<double>().status().message(), HasSubstr("F32, not F64"));
}

TEST(TensorValueTest, WidensEveryType) {
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64,
                              DataType::kBool, DataType::kInt32, DataType::kInt64}) {
    const TensorValue tensor =
        TensorValue::FromDoubles(type, {2}, std::vector<double>{1, 0}).value();
    EXPECT_EQ(tensor.bytes().size(), 2 * ElementBytes(type)) << Name(type);
    EXPECT_THAT(tensor.ToDoubles(), ElementsAre(1, 0)) << Name(type);
  }
}

TEST(TensorValueTest, RefusesNumbersThatATypeCannotHold) {
  const auto convert = [](DataType type, double number) {
    return TensorValue::FromDoubles(type, {1}, std::vector<double>{number}).ok();
  };
  EXPECT_FALSE(convert(DataType::kBool, 2));
  EXPECT_FALSE(convert(DataType::kBool, std::nan("")));
  EXPECT_FALSE(convert(DataType::kInt32, 0.5));
  EXPECT_FALSE(convert(DataType::kInt32, 2147483648.0));
  EXPECT_TRUE(convert(DataType::kInt32, -2147483648.0));
  EXPECT_FALSE(convert(DataType::kInt64, 9223372036854775808.0));
  EXPECT_FALSE(convert(DataType::kInt64, std::numeric_limits<double>::infinity()));
  EXPECT_TRUE(convert(DataType::kF16, std::nan("")));
}

TEST(TensorValueTest, RefusesACountThatIsNotTheShapes) {
  EXPECT_FALSE(TensorValue::FromDoubles(DataType::kF32, {2}, std::vector<double>{1}).ok());
  EXPECT_FALSE(TensorValue::Create(DataType::kF32, {2}, "1234567").ok());
  EXPECT_TRUE(TensorValue::Create(DataType::kF32, {2}, "12345678").ok());
}

TEST(TensorValueTest, RefusesABooleanThatIsNeitherZeroNorOne) {
  EXPECT_FALSE(TensorValue::Create(DataType::kBool, {2}, std::string("\x01\x02", 2)).ok());
  EXPECT_FALSE(TensorValue::Create(DataType::kBool, {1}, "\xff").ok());
  EXPECT_TRUE(TensorValue::Create(DataType::kBool, {2}, std::string("\x01\x00", 2)).ok());
}

}  // namespace
}  // namespace attention::client
