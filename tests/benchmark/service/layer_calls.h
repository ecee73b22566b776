// Calls of SelfAttention that name a layer, so that only embeddings are sent.

#ifndef ATTENTION_TESTS_BENCHMARK_SERVICE_LAYER_CALLS_H_
#define ATTENTION_TESTS_BENCHMARK_SERVICE_LAYER_CALLS_H_

namespace attention::benchmark {

// Rows "service/layer/WIDTHxTOKENS/TYPE/threads:N".
void RegisterLayerCalls();

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_SERVICE_LAYER_CALLS_H_
