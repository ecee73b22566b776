// What the service reports about itself; server/prometheus_metrics.h exports it.

#ifndef ATTENTION_SERVER_CORE_SERVICE_METRICS_H_
#define ATTENTION_SERVER_CORE_SERVICE_METRICS_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"

namespace attention::server {

enum class Method : uint8_t {
  kSelfAttention,
  kMaskedAttention,
  kMultiHeadAttention,
  kCrossAttention,
  kScaledDotProductAttention,
  kDecodeAttention,  // each request of a stream
  kApplyRotaryEmbedding,
  kMergeAttentionStates,
};
inline constexpr std::array kMethods = {
    Method::kSelfAttention,        Method::kMaskedAttention,           Method::kMultiHeadAttention,
    Method::kCrossAttention,       Method::kScaledDotProductAttention, Method::kDecodeAttention,
    Method::kApplyRotaryEmbedding, Method::kMergeAttentionStates};
[[nodiscard]] std::string_view Name(Method method);  // "SelfAttention" ...

// Why a request was turned away before any work.
enum class Rejection : uint8_t {
  kMalformed,  // the bytes are no such message
  kInvalid,    // the message contradicts the contract
  kUnknownField,
  kOverLimit,      // a static limit
  kBytesInFlight,  // the byte budget is full
  kQueueFull,
  kCacheFull,  // keys and values of streams hold all that is for them
  kDraining,
};
inline constexpr std::array kRejections = {Rejection::kMalformed,     Rejection::kInvalid,
                                           Rejection::kUnknownField,  Rejection::kOverLimit,
                                           Rejection::kBytesInFlight, Rejection::kQueueFull,
                                           Rejection::kCacheFull,     Rejection::kDraining};
[[nodiscard]] std::string_view Name(Rejection rejection);  // "malformed" ...

// What one answered request was computed with.
struct Computation {
  double flops = 0;                 // of projections and attention
  std::string_view implementation;  // the name of one of kernels::AllImplementations, or
                                    // kElementwise
  std::string_view precision;       // one of kReportedPrecisions
};

// Implementations must be cheap and may be called from any thread. Labels come only from these
// enumerations and from the fixed sets of status codes, implementations and precisions.
class ServiceMetrics {
 public:
  virtual ~ServiceMetrics() = default;

  virtual void RequestStarted(Method method, int64_t request_bytes) = 0;
  virtual void RequestFinished(Method method, absl::StatusCode code, double total_seconds,
                               int64_t response_bytes) = 0;
  virtual void RequestRejected(Rejection reason) = 0;
  virtual void RequestStopped(absl::StatusCode code) = 0;  // kCancelled or kDeadlineExceeded
  virtual void QueueDepthChanged(int64_t depth) = 0;
  virtual void QueueWaited(double seconds) = 0;
  // Answered or not; for tasks that were computed together, for each the time of all.
  virtual void ComputeTimeSpent(Method method, double seconds) = 0;
  virtual void Computed(const Computation& computation) = 0;
  virtual void SequenceLengths(int64_t query_count, int64_t key_count) = 0;
  virtual void ProjectedTogether(int64_t request_count) = 0;  // by the maps of one layer
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_SERVICE_METRICS_H_
