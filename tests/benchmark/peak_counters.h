// What a row says beside its time.

#ifndef ATTENTION_TESTS_BENCHMARK_PEAK_COUNTERS_H_
#define ATTENTION_TESTS_BENCHMARK_PEAK_COUNTERS_H_

#include <string_view>

#include "benchmark/benchmark.h"
#include "tests/benchmark/machine_peaks.h"

namespace attention::benchmark {

// All counters follow from `seconds`, the median of the iterations.

// median_ms, and GFLOP/s of useful operations with what per cent of the peaks they are: fma% of the
// vector units', and for `precision` in BF16 products on AMX amx% of the tile units', where each
// product of a split counts.
void CountFlops(::benchmark::State& state, double seconds, double flops, std::string_view precision,
                const ComputePeaks& peaks);

// GB/s, and what per cent of plain reading they are: read%.
void CountBytes(::benchmark::State& state, double seconds, double byte_count,
                double peak_bytes_per_second);

// Implementation (for projections, the instruction set) and precision that ran and, where there is
// AMX, its phase: fast or slow, or mixed if threads differ or it changed in between.
void SetLabel(::benchmark::State& state, std::string_view implementation,
              std::string_view precision, const ComputePeaks& peaks);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PEAK_COUNTERS_H_
