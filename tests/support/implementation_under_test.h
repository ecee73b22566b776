// Which implementation this test program was told to use.

#ifndef ATTENTION_TESTS_SUPPORT_IMPLEMENTATION_UNDER_TEST_H_
#define ATTENTION_TESTS_SUPPORT_IMPLEMENTATION_UNDER_TEST_H_

#include <string_view>

#include "kernels/attend.h"
#include "kernels/implementation.h"

namespace attention::test {

// The one that the environment variable ATTENTION_IMPLEMENTATION names, or null if it is unset or
// empty.
[[nodiscard]] const kernels::Implementation* ForcedImplementation();

// Whether only unfused-float64 may run.
[[nodiscard]] bool ForcedToFloat64();

// Whether a fused implementation was forced.
[[nodiscard]] bool ForcedToFused();

// What a report says of matrix products over tensors of a type, for a precision other than
// kF32GradeFastest, on this processor, as capped, with a fused implementation.
[[nodiscard]] std::string_view PrecisionThatRuns(kernels::DataType type,
                                                 kernels::Precision precision);

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_IMPLEMENTATION_UNDER_TEST_H_
