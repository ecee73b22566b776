// Whether timed projections are right.

#ifndef ATTENTION_TESTS_BENCHMARK_PROJECTION_VERIFICATION_H_
#define ATTENTION_TESTS_BENCHMARK_PROJECTION_VERIFICATION_H_

#include <string_view>

#include "absl/status/status.h"
#include "kernels/projection.h"

namespace attention::benchmark {

// Compares eight evenly spread rows of each output with float64 sums, under the rule of
// relative_error.h for `precision`, the one that ran. Returns kInternal if they are wrong.
[[nodiscard]] absl::Status VerifyProjection(const kernels::ProjectionMaps& maps,
                                            const kernels::ProjectionRows& rows,
                                            std::string_view precision);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PROJECTION_VERIFICATION_H_
