#include "kernels/reference/reference_operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

__extension__ typedef __int128 Wide;  // holds every sum of 64-bit numbers

// The value of a binary format with `exponent_bits` and `mantissa_bits`, straight from its
// definition (IEEE 754 section 3.4).
double Decode(uint16_t bits, int exponent_bits, int mantissa_bits) {
  const int exponent = bits >> mantissa_bits & ((1 << exponent_bits) - 1);
  const int mantissa = bits & ((1 << mantissa_bits) - 1);
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const double sign = (bits >> 15) != 0 ? -1.0 : 1.0;
  const double fraction = std::ldexp(mantissa, -mantissa_bits);
  if (exponent == (1 << exponent_bits) - 1) {
    return mantissa == 0 ? sign * kInfinity : std::numeric_limits<double>::quiet_NaN();
  }
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias);
  return sign * std::ldexp(1.0 + fraction, exponent - bias);
}

template <typename T>
T Bits(const std::byte* address) {
  T value;
  std::memcpy(&value, address, sizeof(value));
  return value;
}

struct Format {
  int mantissa_bits;
  int least_exponent;  // of a normal number
  double largest;
};

Format FormatOf(DataType type) {
  switch (type) {
    case DataType::kF16:
      return {10, -14, 65504.0};
    case DataType::kBF16:
      return {7, -126, 0x1.fep127};
    default:
      return {23, -126, 0x1.fffffep127};
  }
}

void Rotate(const RotaryEmbedding& rotary, DataType type, int64_t position,
            std::vector<double>& row) {
  const size_t width = rotary.width == 0 ? row.size() : static_cast<size_t>(rotary.width);
  for (size_t k = 0; k < width / 2; ++k) {
    const double exponent = -2.0 * static_cast<double>(k) / static_cast<double>(width);
    const double angle =
        static_cast<double>(position) * rotary.position_scale * std::pow(rotary.base, exponent);
    double& x = row[rotary.interleaved ? 2 * k : k];
    double& y = row[rotary.interleaved ? 2 * k + 1 : k + width / 2];
    const double turned_x = x * std::cos(angle) - y * std::sin(angle);
    const double turned_y = x * std::sin(angle) + y * std::cos(angle);
    x = ReferenceRounding(type, turned_x);
    y = ReferenceRounding(type, turned_y);
  }
}

}  // namespace

double ReferenceElement(const TensorView& view, int64_t batch, int64_t head, int64_t row,
                        int64_t column) {
  const std::byte* address =
      RowAddress(view, batch, head, row) +
      column * view.strides[3] * static_cast<int64_t>(ElementBytes(view.type));
  switch (view.type) {
    case DataType::kF32:
      return static_cast<double>(Bits<float>(address));
    case DataType::kF16:
      return Decode(Bits<uint16_t>(address), 5, 10);
    case DataType::kBF16:
      return Decode(Bits<uint16_t>(address), 8, 7);
    case DataType::kF64:
      return Bits<double>(address);
    case DataType::kBool:
      return Bits<uint8_t>(address) == 0 ? 0.0 : 1.0;
  }
  return std::numeric_limits<double>::quiet_NaN();
}

std::vector<double> ReferenceRow(const TensorView& view, int64_t batch, int64_t head, int64_t row) {
  std::vector<double> values;
  for (int64_t column = 0; column < view.extents[3]; ++column)
    values.push_back(ReferenceElement(view, batch, head, row, column));
  return values;
}

double ReferenceRounding(DataType type, double value) {
  if (type == DataType::kF64 || value == 0.0 || !std::isfinite(value)) return value;
  const Format format = FormatOf(type);
  const int exponent = std::max(std::ilogb(value), format.least_exponent);
  const double unit = std::ldexp(1.0, exponent - format.mantissa_bits);
  const double rounded = std::nearbyint(value / unit) * unit;
  return std::abs(rounded) > format.largest ? std::copysign(kInfinity, value) : rounded;
}

int64_t ReferencePosition(const AttentionProblem& problem, int64_t batch, int64_t query) {
  Wide position = query;
  position += problem.query_offsets.empty() ? problem.query_offset
                                            : problem.query_offsets[static_cast<size_t>(batch)];
  constexpr Wide kLeast = std::numeric_limits<int64_t>::min();
  constexpr Wide kMost = std::numeric_limits<int64_t>::max();
  return static_cast<int64_t>(std::clamp(position, kLeast, kMost));
}

std::vector<double> ReferenceQuery(const AttentionProblem& problem, int64_t batch, int64_t head,
                                   int64_t query) {
  std::vector<double> row = ReferenceRow(problem.query, batch, head, query);
  if (problem.rotary.has_value()) {
    Rotate(*problem.rotary, problem.query.type, ReferencePosition(problem, batch, query), row);
  }
  return row;
}

std::vector<double> ReferenceKey(const AttentionProblem& problem, int64_t batch,
                                 int64_t key_value_head, int64_t key) {
  std::vector<double> row = ReferenceRow(problem.key, batch, key_value_head, key);
  if (problem.rotary.has_value()) Rotate(*problem.rotary, problem.key.type, key, row);
  return row;
}

}  // namespace attention::kernels
