// Times Attend.

#ifndef ATTENTION_TESTS_BENCHMARK_ATTENTION_BENCHMARK_H_
#define ATTENTION_TESTS_BENCHMARK_ATTENTION_BENCHMARK_H_

namespace attention::benchmark {

// Registers a benchmark for each case that the usable implementations offer. To be called after
// UseImplementation.
void RegisterAttentionBenchmarks();

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_ATTENTION_BENCHMARK_H_
