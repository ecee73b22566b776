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

// Tensors are in the data type of the queries; shapes are those of attention.v1.AttentionResponse.
struct AttentionResult {
  TensorValue output;
  std::optional<TensorValue> weights;  // if asked for
  std::optional<TensorValue> scores;   // if asked for
  Execution execution;
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
