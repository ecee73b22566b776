// What the rows of all benchmarks have in common.

#ifndef ATTENTION_TESTS_BENCHMARK_ROW_TIMING_H_
#define ATTENTION_TESTS_BENCHMARK_ROW_TIMING_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "benchmark/benchmark.h"
#include "kernels/attend.h"

namespace attention::benchmark {

// The least work that is worth a second thread: about a millisecond of one.
inline constexpr double kTwoThreadFlops = 1e8;
inline constexpr double kTwoThreadBytes = 1e7;

// The precisions in which F32 operands are timed.
inline constexpr kernels::Precision kTimedPrecisions[] = {
    kernels::Precision::kF32, kernels::Precision::kBF16X6, kernels::Precision::kBF16X3,
    kernels::Precision::kBF16};

// Times work() as often as the benchmark wants; the iterations' seconds. A status that is not OK
// makes the row an error.
[[nodiscard]] std::vector<double> IterationSeconds(::benchmark::State& state,
                                                   absl::FunctionRef<absl::Status()> work);

// The value below which a share of them lies, 0.5 for the median; 0 if there are none.
[[nodiscard]] double Quantile(std::vector<double> values, double share);

// The median of IterationSeconds: a machine that others use, too, disturbs a mean.
[[nodiscard]] double MedianIterationSeconds(::benchmark::State& state,
                                            absl::FunctionRef<absl::Status()> work);

// Whether a row that asked for `precision` ran in another one, as the same row of that one does;
// the row is then skipped with a message.
[[nodiscard]] bool SkipOtherPrecision(::benchmark::State& state, kernels::DataType type,
                                      kernels::Precision asked, std::string_view ran);

// "f32", "bf16_x6", "bf16_x3", "bf16": as AttentionReport::precision says it.
[[nodiscard]] std::string_view Name(kernels::Precision precision);

// TYPE/PRECISION/threads:N, where types without a choice of precision have no such part.
[[nodiscard]] std::string RowSuffix(kernels::DataType type, kernels::Precision precision,
                                    int thread_count);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_ROW_TIMING_H_
