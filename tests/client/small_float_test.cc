#include "client/small_float.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace attention::client {
namespace {

TEST(SmallFloatTest, EveryF16SurvivesWideningAndRounding) {
  for (int bits = 0; bits <= 0xFFFF; ++bits) {
    const Float16 value{static_cast<uint16_t>(bits)};
    const double wide = WidenF16(value);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(WidenF16(RoundToF16(wide))));
    } else {
      ASSERT_EQ(RoundToF16(wide), value) << "bits " << bits;
    }
  }
}

TEST(SmallFloatTest, EveryBF16IsTheUpperHalfOfItsFloat) {
  for (int bits = 0; bits <= 0xFFFF; ++bits) {
    const BFloat16 value{static_cast<uint16_t>(bits)};
    const auto wide = std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
    if (std::isnan(wide)) {
      EXPECT_TRUE(std::isnan(WidenBF16(value)));
    } else {
      ASSERT_EQ(WidenBF16(value), wide) << "bits " << bits;
      ASSERT_EQ(RoundToBF16(wide), value) << "bits " << bits;
    }
  }
}

TEST(SmallFloatTest, RoundsF16AsTheCompilerDoes) {
  const double numbers[] = {
      0.1,    1.0 / 3, 65504, 65519.99, 65520, 1e9,  6.0e-8, 2.98e-8,     2.9802322387695312e-8,
      2049.0, 2051.0,  1e-30, -0.7,     0.0,   -0.0, 6.1e-5, 0x1.ffdp-15, 0x1.ffffp-15};
  for (const double number : numbers) {
    const auto expected = std::bit_cast<uint16_t>(static_cast<_Float16>(number));
    EXPECT_EQ(RoundToF16(number).bits, expected) << number;
  }
}

TEST(SmallFloatTest, RoundsOnceAndNotByWayOfFloat) {
  // Just above the middle of two neighbours: a float in between would land on the middle, and then
  // on the even one.
  const double number = 1 + 0x1p-11 + 0x1p-40;
  EXPECT_EQ(WidenF16(RoundToF16(number)), 1 + 0x1p-10);
  EXPECT_EQ(WidenBF16(RoundToBF16(1 + 0x1p-8 + 0x1p-40)), 1 + 0x1p-7);
}

TEST(SmallFloatTest, RoundsTiesToEven) {
  EXPECT_EQ(WidenF16(RoundToF16(1 + 0x1p-11)), 1);
  EXPECT_EQ(WidenF16(RoundToF16(1 + 3 * 0x1p-11)), 1 + 0x1p-9);
  EXPECT_EQ(WidenBF16(RoundToBF16(1 + 0x1p-8)), 1);
}

TEST(SmallFloatTest, KeepsInfinitiesAndTheSignOfNaN) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(WidenF16(RoundToF16(-infinity)), -infinity);
  EXPECT_EQ(WidenBF16(RoundToBF16(1e300)), infinity);
  EXPECT_TRUE(std::signbit(WidenBF16(RoundToBF16(-std::nan("")))));
}

}  // namespace
}  // namespace attention::client
