// Scalar conversions between the element types and wider ones. Every narrowing rounds once, to
// nearest, ties to even: a double goes to a 16-bit type directly, never by way of float.
//
// Formats: IEEE 754-2019 binary16 (F16), and bfloat16, which is the upper half of binary32 (BF16).

#ifndef ATTENTION_KERNELS_CONVERT_H_
#define ATTENTION_KERNELS_CONVERT_H_

#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// Exact. A NaN keeps its sign and payload.
[[nodiscard]] float HalfToFloat(uint16_t bits);
[[nodiscard]] float Bfloat16ToFloat(uint16_t bits);

// Beyond the largest finite value plus half a unit: infinity. Below half the smallest denormal:
// zero, signed. A NaN keeps its sign and becomes quiet. Floats convert through their exact double.
[[nodiscard]] uint16_t HalfFromDouble(double value);
[[nodiscard]] uint16_t Bfloat16FromDouble(double value);

// One element, or `count` consecutive ones. kBool reads as 0 or 1 and is not written.
[[nodiscard]] double LoadElement(DataType type, const void* source);
void LoadElements(DataType type, const void* source, int64_t count, double* destination);
void StoreElements(DataType type, const double* source, int64_t count, void* destination);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_CONVERT_H_
