#include "client/attn/rotary_tables.h"

#include <cmath>

namespace attention::client {

RotaryTables MakeRotaryTables(std::span<const int64_t> positions, int64_t width, double base) {
  RotaryTables tables;
  for (const int64_t position : positions) {
    for (int64_t k = 0; k < width / 2; ++k) {
      const double exponent = -2.0 * static_cast<double>(k) / static_cast<double>(width);
      const double angle = static_cast<double>(position) * std::pow(base, exponent);
      tables.cos.push_back(std::cos(angle));
      tables.sin.push_back(std::sin(angle));
    }
  }
  return tables;
}

}  // namespace attention::client
