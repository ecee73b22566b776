// service_benchmark [--benchmark_...]: times calls of a real server over the loopback interface.
//
// Each row is one caller of the C++ client library, whose result is verified once before it is
// timed. The exit code is 0 if all rows are right, 1 if not, or if there are none of the wanted
// names, and 2 for a bad argument. docs/performance.md explains the columns.

#include <cstddef>

#include "benchmark/benchmark.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/service/attention_calls.h"
#include "tests/benchmark/service/layer_calls.h"
#include "tests/benchmark/service/served.h"
#include "tests/benchmark/service/stream_calls.h"

int main(int argc, char** argv) {
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  attention::benchmark::RegisterAttentionCalls();
  attention::benchmark::RegisterLayerCalls();
  attention::benchmark::RegisterStreamCalls();
  const size_t row_count = ::benchmark::RunSpecifiedBenchmarks();
  ::benchmark::Shutdown();
  const bool ended_well = attention::benchmark::StopServers();
  return ended_well && row_count > 0 && attention::benchmark::FailureCount() == 0 ? 0 : 1;
}
