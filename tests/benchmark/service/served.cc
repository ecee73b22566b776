#include "tests/benchmark/service/served.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/channel.h"
#include "gtest/gtest.h"
#include "tests/benchmark/row_timing.h"
#include "tests/benchmark/service/timed_layer.h"
#include "tests/integration/server_process.h"

namespace attention::benchmark {
namespace {

struct Served {
  explicit Served(int thread_count)
      : server({"--compute-threads=" + std::to_string(thread_count),
                "--layers-directory=" + TimedLayersDirectory()}),
        client(client::MakeChannel(server.grpc_address())) {}

  testing::ServerProcess server;
  client::AttentionClient client;
};

std::map<int, std::unique_ptr<Served>>& AllServed() {
  static auto& all = *new std::map<int, std::unique_ptr<Served>>;
  return all;
}

}  // namespace

client::AttentionClient& ClientOfServer(int thread_count) {
  std::unique_ptr<Served>& served = AllServed()[thread_count];
  if (served == nullptr) served = std::make_unique<Served>(thread_count);
  return served->client;
}

bool StopServers() {
  AllServed().clear();
  return !::testing::Test::HasFailure();
}

void TimeCalls(::benchmark::State& state,
               absl::FunctionRef<absl::StatusOr<client::AttentionResult>()> call) {
  std::vector<double> compute_seconds;
  const std::vector<double> seconds = IterationSeconds(state, [&] {
    const auto result = call();
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

}  // namespace attention::benchmark
