// Rows that failed, counted so that the program can say so at its end.

#ifndef ATTENTION_TESTS_BENCHMARK_FAILURES_H_
#define ATTENTION_TESTS_BENCHMARK_FAILURES_H_

#include <string>

#include "benchmark/benchmark.h"

namespace attention::benchmark {

// Makes the row an error.
void Fail(::benchmark::State& state, const std::string& message);

[[nodiscard]] int FailureCount();

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_FAILURES_H_
