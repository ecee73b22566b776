// A real server, and how its calls are timed.

#ifndef ATTENTION_TESTS_BENCHMARK_SERVICE_SERVED_H_
#define ATTENTION_TESTS_BENCHMARK_SERVICE_SERVED_H_

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "client/attention_client.h"

namespace attention::benchmark {

// The client of a server with this many compute threads and the timed layers. Both stay until
// StopServers.
[[nodiscard]] client::AttentionClient& ClientOfServer(int thread_count);

// False if one did not end well, which it says.
[[nodiscard]] bool StopServers();

// Times call() as often as the benchmark wants, and counts
//   - median_ms and p99_ms: what the caller waits, as median and 99th percentile;
//   - compute_ms: the median of what the server says it computed;
//   - around_ms: what remains of median_ms, for the queue, both codecs, both gRPCs and the system.
// A status that is not OK makes the row an error.
void TimeCalls(::benchmark::State& state,
               absl::FunctionRef<absl::StatusOr<client::AttentionResult>()> call);

}  // namespace attention::benchmark

#endif  // ATTENTION_TESTS_BENCHMARK_SERVICE_SERVED_H_
