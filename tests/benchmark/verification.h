// Whether a timed result is right.

#ifndef ATTENTION_TESTS_BENCHMARK_VERIFICATION_H_
#define ATTENTION_TESTS_BENCHMARK_VERIFICATION_H_

#include <string_view>

#include "absl/status/status.h"
#include "kernels/attend.h"

namespace attention::benchmark {

// Compares the output, and the weights and statistics that are there, with the oracle. The oracle
// would take minutes for the larger shapes: eight query rows, evenly spread, of the first, a middle
// and the last head are compared, with all of their keys; of key masses, to which all rows
// contribute, those of the first head.
//
// The rule is that of relative_error.h for `precision`, the one that ran. Returns kInternal, naming
// the first that is wrong. Expects N(0, 1) operands, masks that are dense along the keys, a query
// offset of 0 and no scores.
[[nodiscard]] absl::Status VerifyAttention(const kernels::AttentionProblem& problem,
                                           const kernels::AttentionOptions& options,
                                           const kernels::AttentionOutputs& outputs,
                                           std::string_view precision);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_VERIFICATION_H_
