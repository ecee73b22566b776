#include <cmath>
#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {
namespace {

TEST(ConvertToF32Test, OfF64OnlyAnInfinityIsInfinite) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kHuge = std::numeric_limits<double>::max();
  constexpr float kInfinityF = std::numeric_limits<float>::infinity();
  constexpr float kLargest = std::numeric_limits<float>::max();
  const std::vector<double> numbers = {0.1,   -kHuge, kInfinity, -0.0,  1 + 0x1p-24, kHuge,
                                       1e-50, 3e38,   3.5e38,    1e-45, -kInfinity};
  const std::vector<float> rounded = {0.1f, -kLargest, kInfinityF, -0.0f,  1.0f,       kLargest,
                                      0.0f, 3e38f,     kLargest,   1e-45f, -kInfinityF};
  for (size_t count = 0; count <= numbers.size(); ++count) {
    std::vector<float> converted(numbers.size(), 7.0f);
    ConvertToF32(DataType::kF64, numbers.data(), static_cast<int64_t>(count), converted.data());
    for (size_t i = 0; i < numbers.size(); ++i) {
      const float want = i < count ? rounded[i] : 7.0f;
      EXPECT_EQ(converted[i], want) << i << " of " << count;
      EXPECT_EQ(std::signbit(converted[i]), std::signbit(want)) << i;
    }
  }
}

TEST(ConvertToF32Test, OfF64NanStays) {
  const std::vector<double> numbers(9, std::numeric_limits<double>::quiet_NaN());
  std::vector<float> converted(9);
  ConvertToF32(DataType::kF64, numbers.data(), 9, converted.data());
  for (const float number : converted) EXPECT_TRUE(std::isnan(number));
}

}  // namespace
}  // namespace attention::kernels
