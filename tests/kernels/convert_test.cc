#include "kernels/convert.h"

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/random.h"

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A 16-bit format, its conversions, and its values by definition.
struct Format {
  int exponent_bits;
  int mantissa_bits;
  float (*widen)(uint16_t);
  uint16_t (*narrow)(double);

  [[nodiscard]] uint16_t infinity() const {
    return static_cast<uint16_t>(((1 << exponent_bits) - 1) << mantissa_bits);
  }
  [[nodiscard]] double Value(uint16_t positive) const {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = positive >> mantissa_bits;
    const int mantissa = positive & ((1 << mantissa_bits) - 1);
    const int hidden = exponent == 0 ? 0 : 1 << mantissa_bits;
    return std::ldexp(hidden + mantissa, std::max(exponent, 1) - bias - mantissa_bits);
  }
};

constexpr Format kHalf = {5, 10, HalfToFloat, HalfFromDouble};
constexpr Format kBfloat16 = {8, 7, Bfloat16ToFloat, Bfloat16FromDouble};

class ConvertTest : public testing::TestWithParam<Format> {};

TEST_P(ConvertTest, WidensEveryFiniteNumberExactly) {
  const Format& format = GetParam();
  for (uint16_t bits = 0; bits < format.infinity(); ++bits) {
    ASSERT_EQ(static_cast<double>(format.widen(bits)), format.Value(bits)) << bits;
    const float negative = format.widen(static_cast<uint16_t>(bits | 0x8000));
    ASSERT_EQ(std::bit_cast<uint32_t>(negative), std::bit_cast<uint32_t>(-format.widen(bits)))
        << bits;
  }
}

TEST_P(ConvertTest, WidensInfinitiesAndNaN) {
  const Format& format = GetParam();
  EXPECT_EQ(format.widen(format.infinity()), kInfinity);
  EXPECT_EQ(format.widen(static_cast<uint16_t>(format.infinity() | 0x8000)), -kInfinity);
  for (uint32_t bits = format.infinity() + 1u; bits < 0x8000; ++bits) {
    ASSERT_TRUE(std::isnan(format.widen(static_cast<uint16_t>(bits)))) << bits;
    ASSERT_TRUE(std::isnan(format.widen(static_cast<uint16_t>(bits | 0x8000)))) << bits;
  }
}

TEST_P(ConvertTest, NarrowingWhatWasWidenedGivesTheSameBits) {
  const Format& format = GetParam();
  const int quiet_bit = 1 << (format.mantissa_bits - 1);
  for (uint32_t bits = 0; bits <= 0xffff; ++bits) {
    const float wide = format.widen(static_cast<uint16_t>(bits));
    const uint32_t want = std::isnan(wide) ? bits | static_cast<uint32_t>(quiet_bit) : bits;
    ASSERT_EQ(format.narrow(static_cast<double>(wide)), want) << bits;
  }
}

// Between any two neighbours: just below the middle, the middle, and just above it, in doubles. The
// neighbours of the middle are lost in a float, so rounding by way of float fails here.
TEST_P(ConvertTest, RoundsOnceToNearestWithTiesToEven) {
  const Format& format = GetParam();
  for (uint16_t bits = 0; bits < format.infinity() - 1; ++bits) {
    const auto next = static_cast<uint16_t>(bits + 1);
    const double middle = (format.Value(bits) + format.Value(next)) / 2;
    const uint16_t even = bits % 2 == 0 ? bits : next;
    ASSERT_EQ(format.narrow(std::nextafter(middle, 0.0)), bits) << bits;
    ASSERT_EQ(format.narrow(middle), even) << bits;
    ASSERT_EQ(format.narrow(std::nextafter(middle, kInfinity)), next) << bits;
    ASSERT_EQ(format.narrow(-middle), even | 0x8000) << bits;
  }
}

TEST_P(ConvertTest, OverflowsToInfinityFromHalfAUnitBeyondTheLargest) {
  const Format& format = GetParam();
  const auto largest = static_cast<uint16_t>(format.infinity() - 1);
  const double unit = format.Value(largest) - format.Value(static_cast<uint16_t>(largest - 1));
  const double limit = format.Value(largest) + unit / 2;
  EXPECT_EQ(format.narrow(std::nextafter(limit, 0.0)), largest);
  EXPECT_EQ(format.narrow(limit), format.infinity());
  EXPECT_EQ(format.narrow(std::numeric_limits<double>::max()), format.infinity());
  EXPECT_EQ(format.narrow(-kInfinity), format.infinity() | 0x8000);
}

TEST_P(ConvertTest, TinyNumbersBecomeSignedZeros) {
  const Format& format = GetParam();
  for (const double tiny : {format.Value(1) / 2, format.Value(1) / 8, 1e-300, 5e-324, 0.0}) {
    EXPECT_EQ(format.narrow(tiny), 0) << tiny;
    EXPECT_EQ(format.narrow(-tiny), 0x8000) << tiny;
  }
}

TEST_P(ConvertTest, KeepsTheSignOfNaN) {
  const Format& format = GetParam();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(std::isnan(format.widen(format.narrow(std::copysign(nan, 1.0)))));
  EXPECT_EQ(format.narrow(std::copysign(nan, 1.0)) & 0x8000, 0);
  EXPECT_TRUE(std::isnan(format.widen(format.narrow(std::copysign(nan, -1.0)))));
  EXPECT_EQ(format.narrow(std::copysign(nan, -1.0)) & 0x8000, 0x8000);
}

// A NaN whose payload lies only in bits that are dropped must not turn into an infinity.
TEST_P(ConvertTest, KeepsNaNWithALowPayload) {
  const auto low_payload = std::bit_cast<double>(uint64_t{0x7ff0000000000001});
  EXPECT_TRUE(std::isnan(GetParam().widen(GetParam().narrow(low_payload))));
}

INSTANTIATE_TEST_SUITE_P(Formats, ConvertTest, testing::Values(kHalf, kBfloat16),
                         [](const auto& format) {
                           return format.param.exponent_bits == 5 ? "Half" : "Bfloat16";
                         });

TEST(ConvertElementsTest, StoresAndLoadsEveryFloatingType) {
  const std::vector<double> numbers = {0.0, -1.5, 0.25, 3.0, kInfinity};  // exact in all types
  for (const DataType type : {DataType::kF32, DataType::kF16, DataType::kBF16, DataType::kF64}) {
    std::vector<double> storage(numbers.size());
    std::vector<double> loaded(numbers.size());
    const auto count = static_cast<int64_t>(numbers.size());
    StoreElements(type, numbers.data(), count, storage.data());
    LoadElements(type, storage.data(), count, loaded.data());
    EXPECT_EQ(loaded, numbers) << Name(type);
    const auto* bytes = reinterpret_cast<const std::byte*>(storage.data());
    EXPECT_EQ(LoadElement(type, bytes + ElementBytes(type)), -1.5) << Name(type);
  }
}

TEST(ConvertElementsTest, LoadsBooleansAsZeroAndOne) {
  const uint8_t booleans[] = {0, 1, 1};
  std::vector<double> loaded(3);
  LoadElements(DataType::kBool, booleans, 3, loaded.data());
  EXPECT_EQ(loaded, (std::vector<double>{0.0, 1.0, 1.0}));
}

}  // namespace
}  // namespace attention::kernels
