// Calls of ScaledDotProductAttention, timed in the shapes in which the kernels are.

#ifndef ATTENTION_TESTS_BENCHMARK_SERVICE_ATTENTION_CALLS_H_
#define ATTENTION_TESTS_BENCHMARK_SERVICE_ATTENTION_CALLS_H_

namespace attention::benchmark {

// Rows "service/KIND/SHAPE/TYPE[/PRECISION]/threads:N".
void RegisterAttentionCalls();

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_SERVICE_ATTENTION_CALLS_H_
