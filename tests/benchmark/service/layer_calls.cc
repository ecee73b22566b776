#include "tests/benchmark/service/layer_calls.h"

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "client/attention_client.h"
#include "tests/benchmark/failures.h"
#include "tests/benchmark/service/served.h"
#include "tests/benchmark/service/timed_layer.h"

namespace attention::benchmark {
namespace {

using client::DataType;
using client::TensorValue;

// Relative, in the Frobenius norm. Rounding of sums of `width` products in f32, and of
// intermediate results to BF16, stays well below.
double Tolerance(DataType type) { return type == DataType::kF32 ? 1e-5 : 2e-2; }

// The same in float64, with the weights sent along.
absl::StatusOr<std::vector<double>> ExactOutput(const TimedLayer& layer, int64_t token_count,
                                                client::AttentionClient& client) {
  const TensorValue embeddings = Embeddings(layer, token_count, DataType::kF64);
  std::array<Map, 4> maps;
  std::array<client::Projection, 4> projections;
  for (int i = 0; i < 4; ++i) {
    maps[i] = MapOf(layer, i, DataType::kF64);
    projections[i] = {.weight = maps[i].weight.ref(), .bias = maps[i].bias.ref()};
  }
  client::SelfAttentionRequest request;
  request.embeddings = embeddings.ref();
  request.head_count = layer.head_count;
  request.projections.query = projections[0];
  request.projections.key = projections[1];
  request.projections.value = projections[2];
  request.projections.output = projections[3];
  const auto result = client.SelfAttention(request);
  if (!result.ok()) return result.status();
  return result->output.ToDoubles();
}

absl::Status Verify(const TimedLayer& layer, int64_t token_count,
                    const absl::StatusOr<client::AttentionResult>& result,
                    client::AttentionClient& client) {
  if (!result.ok()) return result.status();
  const auto want = ExactOutput(layer, token_count, client);
  if (!want.ok()) return want.status();
  const std::vector<double> got = result->output.ToDoubles();
  double distance = 0;
  double norm = 0;
  for (size_t i = 0; i < want->size(); ++i) {
    distance += (got[i] - (*want)[i]) * (got[i] - (*want)[i]);
    norm += (*want)[i] * (*want)[i];
  }
  const double error = std::sqrt(distance / norm);
  if (error <= Tolerance(layer.type)) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("output: relative error ", error));
}

void Run(::benchmark::State& state, const TimedLayer& layer, int64_t token_count,
         int thread_count) {
  const TensorValue embeddings = Embeddings(layer, token_count, layer.type);
  client::SelfAttentionRequest request;
  request.embeddings = embeddings.ref();
  request.layer = layer.name;
  client::AttentionClient& client = ClientOfServer(thread_count);
  const absl::Status status = Verify(layer, token_count, client.SelfAttention(request), client);
  if (!status.ok()) return Fail(state, status.ToString());
  TimeCalls(state, [&] { return client.SelfAttention(request); });
}

}  // namespace

void RegisterLayerCalls() {
  for (const TimedLayer& layer : TimedLayers()) {
    for (const int64_t token_count : {128, 512}) {
      for (const int thread_count : {1, 2}) {
        const std::string name =
            absl::StrCat("service/layer/", layer.width, "x", token_count, "/",
                         std::string(client::Name(layer.type)), "/threads:", thread_count);
        ::benchmark::RegisterBenchmark(
            name, [&layer, token_count, thread_count](
                      ::benchmark::State& state) { Run(state, layer, token_count, thread_count); })
            ->UseRealTime()
            ->Unit(::benchmark::kMillisecond);
      }
    }
  }
}

}  // namespace attention::benchmark
