// Steps of decoding in a stream of DecodeAttention, so that only a token is sent.

#ifndef ATTENTION_TESTS_BENCHMARK_SERVICE_STREAM_CALLS_H_
#define ATTENTION_TESTS_BENCHMARK_SERVICE_STREAM_CALLS_H_

namespace attention::benchmark {

// Rows "service/stream/SHAPE/TYPE[/PRECISION]/threads:N", in the shapes in which decoding is timed.
void RegisterStreamCalls();

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_SERVICE_STREAM_CALLS_H_
