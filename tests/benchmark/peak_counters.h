// What a row says beside its time.

#ifndef ATTENTION_TESTS_BENCHMARK_PEAK_COUNTERS_H_
#define ATTENTION_TESTS_BENCHMARK_PEAK_COUNTERS_H_

#include <cstdint>
#include <string_view>

#include "benchmark/benchmark.h"
#include "tests/benchmark/machine_peaks.h"

namespace attention::benchmark {

// What the iterations of a row took together.
struct TimedIterations {
  int64_t count = 0;
  double seconds = 0;
};

// GFLOP/s of useful operations, `flops` in an iteration, and what per cent of the peaks they are:
// fma% of the vector units', and for `precision` in BF16 products on AMX amx% of the tile units',
// where each product of a split counts.
void CountFlops(::benchmark::State& state, const TimedIterations& timed, double flops,
                std::string_view precision, const ComputePeaks& peaks);

// GB/s, and what per cent of plain reading they are: read%.
void CountBytes(::benchmark::State& state, const TimedIterations& timed, double byte_count,
                double peak_bytes_per_second);

// Implementation and precision that ran and, where there is AMX, its phase.
void SetLabel(::benchmark::State& state, std::string_view implementation,
              std::string_view precision, const ComputePeaks& peaks);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PEAK_COUNTERS_H_
