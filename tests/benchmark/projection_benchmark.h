// Times the projections before and after attention.

#ifndef ATTENTION_TESTS_BENCHMARK_PROJECTION_BENCHMARK_H_
#define ATTENTION_TESTS_BENCHMARK_PROJECTION_BENCHMARK_H_

namespace attention::benchmark {

// Registers a benchmark for each shape, type and precision. To be called after UseImplementation.
void RegisterProjectionBenchmarks();

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_PROJECTION_BENCHMARK_H_
