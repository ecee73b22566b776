#include "kernels/convert.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace attention::kernels {
namespace {

constexpr int kDoubleMantissaBits = 52;
constexpr int kDoubleBias = 1023;

// The encoding of `value` in a 16-bit format of one sign bit, kExponentBits and kMantissaBits.
template <int kExponentBits, int kMantissaBits>
uint16_t RoundTo16Bits(double value) {
  static_assert(1 + kExponentBits + kMantissaBits == 16);
  constexpr uint64_t kInfinity = ((uint64_t{1} << kExponentBits) - 1) << kMantissaBits;
  constexpr int kSmallestNormalExponent = 2 - (1 << (kExponentBits - 1));

  const auto bits = std::bit_cast<uint64_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 63 << 15);
  const uint64_t magnitude = bits << 1 >> 1;
  if (value != value) {
    const uint64_t payload =
        magnitude >> (kDoubleMantissaBits - kMantissaBits) & ((1 << kMantissaBits) - 1);
    return static_cast<uint16_t>(sign | kInfinity | uint64_t{1} << (kMantissaBits - 1) | payload);
  }
  const int exponent = static_cast<int>(magnitude >> kDoubleMantissaBits) - kDoubleBias;
  const int denormal_shift = std::max(0, kSmallestNormalExponent - exponent);
  const int dropped_bits = kDoubleMantissaBits - kMantissaBits + denormal_shift;
  if (dropped_bits > kDoubleMantissaBits + 1)
    return sign;  // below half the smallest denormal; double's denormals too

  const uint64_t hidden_bit = uint64_t{1} << kDoubleMantissaBits;
  const uint64_t significand = (magnitude & (hidden_bit - 1)) | hidden_bit;
  uint64_t kept = significand >> dropped_bits;
  const uint64_t dropped = significand - (kept << dropped_bits);
  const uint64_t half = uint64_t{1} << (dropped_bits - 1);
  if (dropped > half || (dropped == half && (kept & 1) != 0)) ++kept;
  // `kept` holds the leading one of a normal number, which adds one to the exponent field; so does
  // a carry.
  const auto exponent_field =
      static_cast<uint64_t>(std::max(0, exponent - kSmallestNormalExponent));
  const uint64_t encoded = (exponent_field << kMantissaBits) + kept;
  return static_cast<uint16_t>(sign | std::min(encoded, kInfinity));
}

template <typename T>
T Read(const void* source) {
  T value;
  std::memcpy(&value, source, sizeof(value));
  return value;
}

template <typename T, typename Convert>
void LoadAs(const void* source, int64_t count, double* destination, Convert convert) {
  const T* elements = static_cast<const T*>(source);
  for (int64_t i = 0; i < count; ++i) destination[i] = convert(elements[i]);
}

template <typename T, typename Convert>
void StoreAs(const double* source, int64_t count, void* destination, Convert convert) {
  T* elements = static_cast<T*>(destination);
  for (int64_t i = 0; i < count; ++i) elements[i] = convert(source[i]);
}

}  // namespace

float HalfToFloat(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  const uint32_t exponent = bits >> 10 & 0x1f;
  const uint32_t mantissa = bits & 0x3ff;
  if (exponent == 0) {
    const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
  }
  const uint32_t float_exponent = exponent == 0x1f ? 0xff : exponent + 127 - 15;
  return std::bit_cast<float>(sign | float_exponent << 23 | mantissa << 13);
}

float Bfloat16ToFloat(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

uint16_t HalfFromDouble(double value) { return RoundTo16Bits<5, 10>(value); }

uint16_t Bfloat16FromDouble(double value) { return RoundTo16Bits<8, 7>(value); }

double LoadElement(DataType type, const void* source) {
  switch (type) {
    case DataType::kF32:
      return static_cast<double>(Read<float>(source));
    case DataType::kF16:
      return static_cast<double>(HalfToFloat(Read<uint16_t>(source)));
    case DataType::kBF16:
      return static_cast<double>(Bfloat16ToFloat(Read<uint16_t>(source)));
    case DataType::kF64:
      return Read<double>(source);
    case DataType::kBool:
      return Read<uint8_t>(source) != 0 ? 1.0 : 0.0;
  }
  return 0.0;
}

void LoadElements(DataType type, const void* source, int64_t count, double* destination) {
  switch (type) {
    case DataType::kF32:
      return LoadAs<float>(source, count, destination, [](float x) { return double{x}; });
    case DataType::kF16:
      return LoadAs<uint16_t>(source, count, destination, HalfToFloat);
    case DataType::kBF16:
      return LoadAs<uint16_t>(source, count, destination, Bfloat16ToFloat);
    case DataType::kF64:
      return LoadAs<double>(source, count, destination, [](double x) { return x; });
    case DataType::kBool:
      return LoadAs<uint8_t>(source, count, destination, [](uint8_t x) { return x != 0; });
  }
}

void StoreElements(DataType type, const double* source, int64_t count, void* destination) {
  switch (type) {
    case DataType::kF32:
      return StoreAs<float>(source, count, destination,
                            [](double x) { return static_cast<float>(x); });
    case DataType::kF16:
      return StoreAs<uint16_t>(source, count, destination, HalfFromDouble);
    case DataType::kBF16:
      return StoreAs<uint16_t>(source, count, destination, Bfloat16FromDouble);
    case DataType::kF64:
      return StoreAs<double>(source, count, destination, [](double x) { return x; });
    case DataType::kBool:
      return;
  }
}

}  // namespace attention::kernels
