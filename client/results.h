// What the service answers.

#ifndef ATTENTION_CLIENT_RESULTS_H_
#define ATTENTION_CLIENT_RESULTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "client/precision.h"
#include "client/tensor.h"

namespace attention::client {

// What really happened on the server.
struct Execution {
  std::string implementation;
  std::string precision;  // "f32", "bf16_x6", "bf16_x3", "bf16" or "f64"
  int32_t thread_count = 0;
  int64_t queue_ns = 0;
  int64_t compute_ns = 0;
  int64_t total_ns = 0;
  std::string request_id;
};

// Shapes and types are those of attention.v1.AttentionResponse. All but the output only if asked
// for.
struct AttentionResult {
  TensorValue output;
  std::optional<TensorValue> weights;
  std::optional<TensorValue> scores;
  std::optional<TensorValue> log_sum_exp;
  std::optional<TensorValue> top_weights;
  std::optional<TensorValue> top_keys;
  std::optional<TensorValue> entropy;
  std::optional<TensorValue> key_mass;
  std::optional<TensorValue> maximum_weight;
  std::optional<TensorValue> present_key;
  std::optional<TensorValue> present_value;
  Execution execution;
};

struct RotaryEmbeddingResult {
  TensorValue output;
  Execution execution;
};

// A state like those that were merged.
struct MergedStateResult {
  TensorValue output;
  TensorValue log_sum_exp;
  Execution execution;
};

// A layer that the server has loaded, as attention.v1.Layer describes it.
struct LayerInfo {
  struct LinearMap {
    int64_t input_width = 0;
    int64_t output_width = 0;
    bool has_bias = false;
  };

  std::string name;
  std::optional<DataType> type;  // of its embeddings; empty: one that this library does not know
  int32_t head_count = 0;
  int32_t key_value_head_count = 0;
  std::string format;                                  // "pytorch", "keras" or "plain"
  std::optional<LinearMap> query, key, value, output;  // empty: the identity
  bool appends_key_value = false;
  std::optional<double> scale;  // what it fixes
  std::vector<double> sinks;
};

struct ServerInfo {
  std::string version;
  std::vector<std::string> implementations;  // the preferred one first
  std::string instruction_set;
  int32_t compute_thread_count = 0;
  int64_t max_request_bytes = 0;
  int64_t max_response_bytes = 0;
  double max_request_flops = 0;
  double max_request_float64_flops = 0;
  int64_t queue_capacity = 0;
  std::optional<Precision> default_precision;  // empty: one that this library does not know
};

// The numbers of grpc.health.v1.HealthCheckResponse.ServingStatus.
enum class ServingStatus : int32_t {
  kUnknown = 0,
  kServing = 1,
  kNotServing = 2,
  kServiceUnknown = 3
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_RESULTS_H_
