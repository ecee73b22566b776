// Conversions between double and the two 16-bit floating point types. Rounding is to nearest, ties
// to even, in one step from double, so there is no double rounding by way of float. NaN stays NaN
// (quiet, with its sign), what is too large becomes infinity, and subnormals are kept. Widening is
// exact.

#ifndef ATTENTION_CLIENT_SMALL_FLOAT_H_
#define ATTENTION_CLIENT_SMALL_FLOAT_H_

#include "client/tensor.h"

namespace attention::client {

[[nodiscard]] Float16 RoundToF16(double number);
[[nodiscard]] BFloat16 RoundToBF16(double number);

[[nodiscard]] double WidenF16(Float16 value);
[[nodiscard]] double WidenBF16(BFloat16 value);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_SMALL_FLOAT_H_
