// Metrics and a log that remember what they were told.

#ifndef ATTENTION_TESTS_SUPPORT_RECORDING_METRICS_H_
#define ATTENTION_TESTS_SUPPORT_RECORDING_METRICS_H_

#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/core/log.h"
#include "server/core/service_metrics.h"

namespace attention::test {

// Everything in order of arrival.
struct RecordedMetrics {
  struct Finish {
    server::Method method;
    absl::StatusCode code;
    int64_t response_bytes;
  };
  struct Computation {
    double flops;
    std::string implementation;
    std::string precision;
  };
  std::vector<std::pair<server::Method, int64_t>> started;
  std::vector<Finish> finished;
  std::vector<server::Rejection> rejections;
  std::vector<absl::StatusCode> stopped;
  std::vector<int64_t> queue_depths;
  std::vector<double> queue_waits;
  std::vector<std::pair<server::Method, double>> compute_times;
  std::vector<Computation> computed;
  std::vector<std::pair<int64_t, int64_t>> sequence_lengths;
  std::vector<int64_t> projected_together;
};

// Thread safety: all methods may be called from any thread.
class RecordingMetrics final : public server::ServiceMetrics {
 public:
  void RequestStarted(server::Method method, int64_t request_bytes) override {
    const std::lock_guard lock(mutex_);
    recorded_.started.emplace_back(method, request_bytes);
  }
  void RequestFinished(server::Method method, absl::StatusCode code, double /*total_seconds*/,
                       int64_t response_bytes) override {
    const std::lock_guard lock(mutex_);
    recorded_.finished.push_back({method, code, response_bytes});
  }
  void RequestRejected(server::Rejection reason) override {
    const std::lock_guard lock(mutex_);
    recorded_.rejections.push_back(reason);
  }
  void RequestStopped(absl::StatusCode code) override {
    const std::lock_guard lock(mutex_);
    recorded_.stopped.push_back(code);
  }
  void QueueDepthChanged(int64_t depth) override {
    const std::lock_guard lock(mutex_);
    recorded_.queue_depths.push_back(depth);
  }
  void QueueWaited(double seconds) override {
    const std::lock_guard lock(mutex_);
    recorded_.queue_waits.push_back(seconds);
  }
  void ComputeTimeSpent(server::Method method, double seconds) override {
    const std::lock_guard lock(mutex_);
    recorded_.compute_times.emplace_back(method, seconds);
  }
  void Computed(const server::Computation& computation) override {
    const std::lock_guard lock(mutex_);
    recorded_.computed.push_back({computation.flops, std::string(computation.implementation),
                                  std::string(computation.precision)});
  }
  void SequenceLengths(int64_t query_count, int64_t key_count) override {
    const std::lock_guard lock(mutex_);
    recorded_.sequence_lengths.emplace_back(query_count, key_count);
  }
  void ProjectedTogether(int64_t request_count) override {
    const std::lock_guard lock(mutex_);
    recorded_.projected_together.push_back(request_count);
  }

  [[nodiscard]] RecordedMetrics recorded() const {
    const std::lock_guard lock(mutex_);
    return recorded_;
  }

 private:
  mutable std::mutex mutex_;
  RecordedMetrics recorded_;
};

// Thread safety: all methods may be called from any thread.
class RecordingLog final : public server::Log {
 public:
  void InternalError(std::string_view request_id, std::string_view detail) override {
    const std::lock_guard lock(mutex_);
    internal_errors_.emplace_back(request_id, detail);
  }

  // Request id and detail, in order of arrival.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> internal_errors() const {
    const std::lock_guard lock(mutex_);
    return internal_errors_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> internal_errors_;
};

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_RECORDING_METRICS_H_
