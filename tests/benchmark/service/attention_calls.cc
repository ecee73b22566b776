#include "tests/benchmark/service/attention_calls.h"

#include "benchmark/benchmark.h"
#include "client/attention_client.h"
#include "tests/benchmark/attention_case.h"
#include "tests/benchmark/attention_operands.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/service/borrowed.h"
#include "tests/benchmark/service/served.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;

client::ScaledDotProductAttentionRequest Request(const kernels::AttentionProblem& problem) {
  client::ScaledDotProductAttentionRequest request;
  request.query = Borrow(problem.query);
  request.key = Borrow(problem.key);
  request.value = Borrow(problem.value);
  if (problem.causal) request.options.causal = client::Causal{};
  return request;
}

void Run(::benchmark::State& state, const AttentionCase& timed) {
  AttentionOperands& operands = AttentionOperands::Of(*timed.shape, timed.type);
  const client::ScaledDotProductAttentionRequest request = Request(operands.Problem());
  client::AttentionClient& client = ClientOfServer(timed.thread_count);
  const absl::Status status =
      Verify(client.ScaledDotProductAttention(request), *timed.shape, operands);
  if (!status.ok()) return Fail(state, status.ToString());
  TimeCalls(state, [&] { return client.ScaledDotProductAttention(request); });
}

// Those that ask for nothing beyond their shape.
bool IsTimed(const AttentionShape& shape) {
  return shape.option == TimedOption::kNone && !shape.weights && !shape.padded &&
         shape.buffer_count == 1;
}

}  // namespace

void RegisterAttentionCalls() {
  for (const AttentionShape& shape : AllAttentionShapes()) {
    if (!IsTimed(shape)) continue;
    for (const int thread_count : {1, 2}) {
      for (const DataType type : {DataType::kF32, DataType::kBF16}) {
        const AttentionCase timed = {&shape, type, kernels::Precision::kF32, thread_count};
        ::benchmark::RegisterBenchmark("service/" + Name(timed),
                                       [timed](::benchmark::State& state) { Run(state, timed); })
            ->UseRealTime()
            ->Unit(::benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace attention::benchmark
