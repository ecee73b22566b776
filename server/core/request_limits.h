// What the engine takes: from a single request, and at once.

#ifndef ATTENTION_SERVER_CORE_REQUEST_LIMITS_H_
#define ATTENTION_SERVER_CORE_REQUEST_LIMITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "server/core/task.h"

namespace attention::server {

// What a single request may ask for. Exceeding one is kInvalidArgument, naming the limit and both
// values.
struct RequestLimits {
  int64_t max_request_bytes = int64_t{256} << 20;
  int64_t max_response_bytes = int64_t{256} << 20;
  double max_flops = 1e13;
  double max_float64_flops = 1e11;  // of Float64Flops
};

struct EngineOptions {
  RequestLimits limits = {};
  int thread_count = 1;
  int64_t queue_capacity = 64;
  int64_t max_bytes_in_flight = int64_t{2} << 30;  // requests, scratch and answers together
};

// What a valid task costs beside the memory that it needs from here on.
struct TaskCosts {
  double flops = 0;
  int64_t held_bytes = 0;  // of max_bytes_in_flight, by its request
};

// kInvalidArgument if a request, its numbers in another type, or a task is beyond what waiting
// could change.
[[nodiscard]] absl::Status CheckRequestBytes(int64_t request_bytes, const EngineOptions& options);
[[nodiscard]] absl::Status CheckConvertedBytes(int64_t converted_bytes, int64_t request_bytes,
                                               const EngineOptions& options);
[[nodiscard]] absl::Status CheckTask(const AnyTask& task, const TaskCosts& costs,
                                     const EngineOptions& options);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_REQUEST_LIMITS_H_
