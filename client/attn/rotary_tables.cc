#include "client/attn/rotary_tables.h"

#include <cmath>

namespace attention::client {

RotaryTables MakeRotaryTables(int64_t position_count, int64_t width, double base) {
  RotaryTables tables;
  for (int64_t position = 0; position < position_count; ++position) {
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
