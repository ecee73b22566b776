// Operands of the kernels' benchmarks as the client library takes and returns them.

#ifndef ATTENTION_TESTS_BENCHMARK_SERVICE_BORROWED_H_
#define ATTENTION_TESTS_BENCHMARK_SERVICE_BORROWED_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/results.h"
#include "client/tensor.h"
#include "kernels/tensor_view.h"
#include "tests/benchmark/attention_case.h"
#include "tests/benchmark/attention_operands.h"

namespace attention::benchmark {

// A dense view of F32 or BF16.
[[nodiscard]] client::TensorRef Borrow(const kernels::TensorView& view);

// Compares the output with the oracle, as VerifyAttention does.
[[nodiscard]] absl::Status Verify(const absl::StatusOr<client::AttentionResult>& result,
                                  const AttentionShape& shape, AttentionOperands& operands);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_SERVICE_BORROWED_H_
