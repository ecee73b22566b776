// The service's metrics in Prometheus's text format.

#ifndef ATTENTION_SERVER_PROMETHEUS_METRICS_H_
#define ATTENTION_SERVER_PROMETHEUS_METRICS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "server/core/service_metrics.h"

namespace attention::server {

// The labels of attention_build_info.
struct BuildInfo {
  std::string version;
  std::string implementation;   // the preferred one of those usable on this machine
  std::string instruction_set;  // what the kernels dispatch to
  std::string grpc_version;
};

// The layers that a server offers, and the bytes that all in use keep.
struct LayerUse {
  int64_t layer_count = 0;
  int64_t bytes = 0;
};

// The decoding streams that are open, and the bytes of the keys and values that they keep.
struct StreamUse {
  int64_t stream_count = 0;
  int64_t bytes = 0;
};

// Every series exists, with value 0, from the start, so that rates work from the first event.
// Thread safety: all methods may be called from any thread.
class PrometheusMetrics final : public ServiceMetrics {
 public:
  PrometheusMetrics(const BuildInfo& build_info, int compute_thread_count);
  ~PrometheusMetrics() override;

  // Who is asked, at each scrape, for attention_bytes_in_flight. Must stay callable until replaced.
  void SetBytesInFlightSource(std::function<int64_t()> source);

  // The same for attention_layers and attention_layer_bytes.
  void SetLayerSource(std::function<LayerUse()> source);

  // The same for attention_streams and attention_cache_bytes.
  void SetStreamSource(std::function<StreamUse()> source);

  // Layers were loaded from their directory, or refused.
  void LayersLoaded(bool succeeded);

  // Everything, as an answer to a scrape.
  [[nodiscard]] std::string Text() const;

  void RequestStarted(Method method, int64_t request_bytes) override;
  void RequestFinished(Method method, absl::StatusCode code, double total_seconds,
                       int64_t response_bytes) override;
  void RequestRejected(Rejection reason) override;
  void RequestStopped(absl::StatusCode code) override;
  void QueueDepthChanged(int64_t depth) override;
  void QueueWaited(double seconds) override;
  void ComputeTimeSpent(Method method, double seconds) override;
  void Computed(const Computation& computation) override;
  void SequenceLengths(int64_t query_count, int64_t key_count) override;
  void ProjectedTogether(int64_t request_count) override;

 private:
  struct Series;
  const std::unique_ptr<Series> series_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_PROMETHEUS_METRICS_H_
