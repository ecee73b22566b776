// service_benchmark [--benchmark_...]: times calls of a real server over the loopback interface.
//
// Each row is one caller of the C++ client library, whose result is verified once before it is
// timed. The exit code is 0 if all rows are right, 1 if not, or if there are none of the wanted
// names, and 2 for a bad argument. docs/performance.md explains the columns.

#include <cstring>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "benchmark/benchmark.h"
#include "client/attention_client.h"
#include "tests/benchmark/attention_case.h"
#include "tests/benchmark/attention_operands.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/row_timing.h"
#include "tests/benchmark/verification.h"
#include "tests/integration/server_process.h"

namespace attention::benchmark {
namespace {

using kernels::DataType;

// Stays for the program's life, as the servers of its users do.
client::AttentionClient& ClientOfServer(int thread_count) {
  struct Service {
    explicit Service(int threads)
        : server({"--compute-threads=" + std::to_string(threads)}),
          client(client::MakeChannel(server.grpc_address())) {}
    testing::ServerProcess server;
    client::AttentionClient client;
  };
  static std::map<int, std::unique_ptr<Service>> services;
  std::unique_ptr<Service>& service = services[thread_count];
  if (service == nullptr) service = std::make_unique<Service>(thread_count);
  return service->client;
}

client::TensorRef Borrow(const kernels::TensorView& view) {
  const auto type = view.type == DataType::kBF16 ? client::DataType::kBF16 : client::DataType::kF32;
  const auto bytes =
      static_cast<size_t>(kernels::ElementCount(view.extents)) * kernels::ElementBytes(view.type);
  return {type,
          client::Shape(view.extents.begin(), view.extents.end()),
          {static_cast<const std::byte*>(view.data), bytes}};
}

class ServiceBenchmark {
 public:
  explicit ServiceBenchmark(const AttentionCase& attention_case) : case_(attention_case) {}

  void Run(::benchmark::State& state) {
    AttentionOperands& operands = AttentionOperands::Of(*case_.shape, case_.type);
    const kernels::AttentionProblem problem = operands.Problem();
    const client::ScaledDotProductAttentionRequest request = Request(problem);
    client::AttentionClient& client = ClientOfServer(case_.thread_count);
    if (absl::Status status = Verify(client.ScaledDotProductAttention(request), operands);
        !status.ok()) {
      return Fail(state, status.ToString());
    }
    std::vector<double> compute_seconds;
    std::vector<double> seconds = IterationSeconds(state, [&] {
      const auto result = client.ScaledDotProductAttention(request);
      if (!result.ok()) return result.status();
      compute_seconds.push_back(static_cast<double>(result->execution.compute_ns) * 1e-9);
      return absl::OkStatus();
    });
    const double median = Quantile(seconds, 0.5);
    const double compute = Quantile(compute_seconds, 0.5);
    state.counters["median_ms"] = 1e3 * median;
    state.counters["p99_ms"] = 1e3 * Quantile(seconds, 0.99);
    state.counters["compute_ms"] = 1e3 * compute;
    state.counters["around_ms"] = 1e3 * (median - compute);
  }

 private:
  static client::ScaledDotProductAttentionRequest Request(
      const kernels::AttentionProblem& problem) {
    client::ScaledDotProductAttentionRequest request = {
        .query = Borrow(problem.query), .key = Borrow(problem.key), .value = Borrow(problem.value)};
    if (problem.causal) request.options.causal = client::Causal{};
    return request;
  }

  absl::Status Verify(const absl::StatusOr<client::AttentionResult>& result,
                      AttentionOperands& operands) const {
    if (!result.ok()) return result.status();
    const kernels::AttentionOutputs outputs = operands.UnwrittenOutputs();
    const std::span<const std::byte> bytes = result->output.bytes();
    std::memcpy(outputs.output.data, bytes.data(), bytes.size());
    return VerifyAttention(operands.Problem(), Options(*case_.shape), outputs,
                           result->execution.precision);
  }

  const AttentionCase case_;
};

// Those that ask for nothing beyond their shape.
bool IsTimed(const AttentionShape& shape) {
  return shape.option == TimedOption::kNone && !shape.weights && !shape.padded &&
         shape.buffer_count == 1;
}

void Register(const AttentionCase& attention_case) {
  const auto benchmark = std::make_shared<ServiceBenchmark>(attention_case);
  ::benchmark::RegisterBenchmark("service/" + Name(attention_case),
                                 [benchmark](::benchmark::State& state) { benchmark->Run(state); })
      ->UseRealTime()
      ->Unit(::benchmark::kMillisecond);
}

}  // namespace
}  // namespace attention::benchmark

int main(int argc, char** argv) {
  using namespace attention::benchmark;
  ::benchmark::Initialize(&argc, argv);
  if (::benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  for (const AttentionShape& shape : AllAttentionShapes()) {
    if (!IsTimed(shape)) continue;
    for (const int thread_count : {1, 2}) {
      for (const DataType type : {DataType::kF32, DataType::kBF16}) {
        Register({&shape, type, attention::kernels::Precision::kF32, thread_count});
      }
    }
  }
  const size_t row_count = ::benchmark::RunSpecifiedBenchmarks();
  ::benchmark::Shutdown();
  return row_count > 0 && FailureCount() == 0 ? 0 : 1;
}
