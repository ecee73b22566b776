#include "server/core/request_limits.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/core/saturating.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

template <typename Number>
absl::Status OverLimit(absl::string_view what, Number got, absl::string_view unit, Number limit,
                       absl::string_view flag) {
  return absl::InvalidArgumentError(
      absl::StrCat(what, ": got ", got, " ", unit, ", want <= ", limit, " (", flag, ")"));
}

absl::Status CheckMemory(absl::string_view what, int64_t bytes, const EngineOptions& options) {
  if (bytes <= options.max_bytes_in_flight) return absl::OkStatus();
  return OverLimit(what, bytes, "bytes", options.max_bytes_in_flight, "--max-bytes-in-flight");
}

}  // namespace

absl::Status CheckRequestBytes(int64_t request_bytes, const EngineOptions& options) {
  const int64_t max_request_bytes = options.limits.max_request_bytes;
  if (request_bytes > max_request_bytes) {
    return OverLimit("request", request_bytes, "bytes", max_request_bytes, "--max-request-bytes");
  }
  return CheckMemory("request", request_bytes, options);
}

absl::Status CheckConvertedBytes(int64_t converted_bytes, int64_t request_bytes,
                                 const EngineOptions& options) {
  return CheckMemory("request and its numbers in another type",
                     SaturatingSum({request_bytes, converted_bytes}), options);
}

absl::Status CheckTask(const AnyTask& task, const TaskCosts& costs, const EngineOptions& options) {
  const RequestLimits& limits = options.limits;
  const int64_t sent_bytes = SentBytes(task);
  if (sent_bytes > limits.max_response_bytes) {
    return OverLimit("response", sent_bytes, "bytes", limits.max_response_bytes,
                     "--max-response-bytes");
  }
  const int64_t task_bytes = SaturatingSum(
      {costs.held_bytes, ResultBytes(task), ScratchBytes(task, options.thread_count)});
  ATTENTION_RETURN_IF_ERROR(
      CheckMemory("request, response and scratch memory", task_bytes, options));
  if (costs.flops > limits.max_flops) {
    return OverLimit("request", costs.flops, "floating point operations", limits.max_flops,
                     "--max-request-flops");
  }
  const double float64_flops = Float64Flops(task);
  if (float64_flops > limits.max_float64_flops) {
    return OverLimit("request", float64_flops, "floating point operations in float64",
                     limits.max_float64_flops, "--max-request-float64-flops");
  }
  return absl::OkStatus();
}

}  // namespace attention::server
