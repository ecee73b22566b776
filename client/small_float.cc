#include "client/small_float.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace attention::client {
namespace {

// A sign bit, then the exponent, then the mantissa, 16 bits in all.
struct Format {
  int exponent_bits;
  int mantissa_bits;

  [[nodiscard]] int bias() const { return (1 << (exponent_bits - 1)) - 1; }
  [[nodiscard]] int infinity() const { return ((1 << exponent_bits) - 1) << mantissa_bits; }
};

constexpr Format kF16Format = {.exponent_bits = 5, .mantissa_bits = 10};
constexpr Format kBF16Format = {.exponent_bits = 8, .mantissa_bits = 7};
constexpr int kSignBit = 0x8000;

// The bits of a number above zero, without the sign.
int RoundMagnitude(double magnitude, Format format) {
  int exponent = std::ilogb(magnitude);
  if (exponent > format.bias()) return format.infinity();
  exponent = std::max(exponent, 1 - format.bias());  // all subnormals share the lowest exponent
  // The magnitude in units of its last place: the scaling is exact, so this rounds once. The
  // leading one, where there is one, adds itself to the exponent field, and so does a carry out of
  // the mantissa.
  const double units = std::nearbyint(std::ldexp(magnitude, format.mantissa_bits - exponent));
  return ((exponent + format.bias() - 1) << format.mantissa_bits) + static_cast<int>(units);
}

uint16_t Round(double number, Format format) {
  const int sign = std::signbit(number) ? kSignBit : 0;
  int bits = 0;
  if (std::isnan(number)) {
    bits = format.infinity() | (1 << (format.mantissa_bits - 1));
  } else if (std::isinf(number)) {
    bits = format.infinity();
  } else if (number != 0) {
    bits = RoundMagnitude(std::abs(number), format);
  }
  return static_cast<uint16_t>(sign | bits);
}

double Widen(int bits, Format format) {
  const int mantissa = bits & ((1 << format.mantissa_bits) - 1);
  const int exponent_field = (bits & format.infinity()) >> format.mantissa_bits;
  double magnitude;
  if ((bits & format.infinity()) == format.infinity()) {
    magnitude = mantissa == 0 ? std::numeric_limits<double>::infinity()
                              : std::numeric_limits<double>::quiet_NaN();
  } else {
    const int leading_one = exponent_field == 0 ? 0 : 1 << format.mantissa_bits;
    magnitude = std::ldexp(leading_one + mantissa,
                           std::max(exponent_field, 1) - format.bias() - format.mantissa_bits);
  }
  return (bits & kSignBit) != 0 ? -magnitude : magnitude;
}

}  // namespace

Float16 RoundToF16(double number) { return {Round(number, kF16Format)}; }
BFloat16 RoundToBF16(double number) { return {Round(number, kBF16Format)}; }
double WidenF16(Float16 value) { return Widen(value.bits, kF16Format); }
double WidenBF16(BFloat16 value) { return Widen(value.bits, kBF16Format); }

}  // namespace attention::client
