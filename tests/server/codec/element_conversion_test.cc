#include "server/codec/element_conversion.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::server {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

TEST(ConvertFloatsTest, RoundsToNearestEven) {
  // Halfway between 1 and the next value of each type, and just above it.
  const std::vector<float> f16_source = {1 + 0x1p-11F, 1 + 3 * 0x1p-11F, 1 + 0x1p-11F + 0x1p-20F};
  std::vector<uint16_t> f16(3);
  EXPECT_EQ(ConvertFloats(f16_source, v1::DATA_TYPE_F16, f16.data()), std::nullopt);
  EXPECT_THAT(f16, ElementsAre(0x3c00, 0x3c02, 0x3c01));
  const std::vector<float> bf16_source = {1 + 0x1p-8F, 1 + 3 * 0x1p-8F, 1 + 0x1p-8F + 0x1p-20F};
  std::vector<uint16_t> bf16(3);
  EXPECT_EQ(ConvertFloats(bf16_source, v1::DATA_TYPE_BF16, bf16.data()), std::nullopt);
  EXPECT_THAT(bf16, ElementsAre(0x3f80, 0x3f82, 0x3f81));
}

TEST(ConvertFloatsTest, TurnsWhatIsTooLargeIntoInfinity) {
  const std::vector<float> source = {1e6F, -1e6F};
  std::vector<uint16_t> f16(2);
  EXPECT_EQ(ConvertFloats(source, v1::DATA_TYPE_F16, f16.data()), std::nullopt);
  EXPECT_THAT(f16, ElementsAre(0x7c00, 0xfc00));
}

TEST(ConvertFloatsTest, ConvertsMoreThanOneBlock) {
  std::vector<float> source(1000);
  for (size_t i = 0; i < source.size(); ++i) source[i] = static_cast<float>(i) + 0.5F;
  std::vector<double> doubles(source.size());
  EXPECT_EQ(ConvertFloats(source, v1::DATA_TYPE_F64, doubles.data()), std::nullopt);
  for (size_t i = 0; i < source.size(); ++i) ASSERT_EQ(doubles[i], static_cast<double>(source[i]));
  std::vector<float> back(source.size());
  ConvertToFloats(kernels::DataType::kF64, doubles.data(), 1000, back.data());
  EXPECT_EQ(back, source);
}

TEST(ConvertFloatsTest, AcceptsIntegersUpToTheLimitsOfTheirType) {
  const std::vector<float> source = {-2147483648.0F, 2147483520.0F, -0.0F};
  std::vector<int32_t> integers(3);
  EXPECT_EQ(ConvertFloats(source, v1::DATA_TYPE_INT32, integers.data()), std::nullopt);
  EXPECT_THAT(integers, ElementsAre(std::numeric_limits<int32_t>::min(), 2147483520, 0));
  const std::vector<float> beyond = {0, -0x1p63F, 0x1p63F};
  std::vector<int64_t> wide(3);
  EXPECT_THAT(ConvertFloats(beyond, v1::DATA_TYPE_INT64, wide.data()), Optional(Eq(2)));
}

TEST(ConvertFloatsTest, NamesTheFirstNumberThatDoesNotFit) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  std::vector<int64_t> space(3);
  for (const v1::DataType type : {v1::DATA_TYPE_BOOL, v1::DATA_TYPE_INT32, v1::DATA_TYPE_INT64}) {
    for (const float bad : {nan, infinity, -infinity, 0.5F}) {
      const std::vector<float> source = {1, bad, bad};
      EXPECT_THAT(ConvertFloats(source, type, space.data()), Optional(Eq(1))) << type << " " << bad;
    }
  }
}

TEST(ConvertToFloatsTest, WidensSixteenBitsExactly) {
  const std::vector<uint16_t> f16 = {0x3e00, 0x0001, 0x7c00};
  std::vector<float> floats(3);
  ConvertToFloats(kernels::DataType::kF16, f16.data(), 3, floats.data());
  EXPECT_THAT(floats, ElementsAre(1.5F, 0x1p-24F, std::numeric_limits<float>::infinity()));
  const std::vector<uint16_t> bf16 = {0x3fc0, 0x0001, 0xff80};
  ConvertToFloats(kernels::DataType::kBF16, bf16.data(), 3, floats.data());
  EXPECT_THAT(floats, ElementsAre(1.5F, 0x1p-133F, -std::numeric_limits<float>::infinity()));
}

TEST(ConvertToFloatsTest, KeepsF32BitForBit) {
  const std::vector<uint32_t> bits = {0x7fc12345U, 0x80000000U, 0x00000001U};
  std::vector<float> floats(3);
  ConvertToFloats(kernels::DataType::kF32, bits.data(), 3, floats.data());
  EXPECT_THAT(
      floats,
      ElementsAre(testing::Truly([](float f) { return std::bit_cast<uint32_t>(f) == 0x7fc12345U; }),
                  testing::Truly([](float f) { return f == 0 && std::signbit(f); }), 0x1p-149F));
}

TEST(FirstNonBooleanTest, FindsTheFirst) {
  EXPECT_EQ(FirstNonBoolean(""), std::nullopt);
  EXPECT_EQ(FirstNonBoolean(std::string("\0\1\1\0", 4)), std::nullopt);
  EXPECT_THAT(FirstNonBoolean(std::string("\0\1\2\3", 4)), Optional(Eq(2)));
  EXPECT_THAT(FirstNonBoolean("\xff"), Optional(Eq(0)));
}

}  // namespace
}  // namespace attention::server
