// Which implementation this test program was told to use.

#ifndef ATTENTION_TESTS_SUPPORT_IMPLEMENTATION_UNDER_TEST_H_
#define ATTENTION_TESTS_SUPPORT_IMPLEMENTATION_UNDER_TEST_H_

#include "kernels/implementation.h"

namespace attention::test {

// The one that the environment variable ATTENTION_IMPLEMENTATION names, or null if it is unset or
// empty.
[[nodiscard]] const kernels::Implementation* ForcedImplementation();

// Whether only unfused-float64 may run.
[[nodiscard]] bool ForcedToFloat64();

// Whether a fused implementation was forced.
[[nodiscard]] bool ForcedToFused();

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_IMPLEMENTATION_UNDER_TEST_H_
