// What the operating system says about this process, under the names that all Prometheus clients
// use.

#ifndef ATTENTION_SERVER_PROMETHEUS_PROCESS_H_
#define ATTENTION_SERVER_PROMETHEUS_PROCESS_H_

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace attention::server {

// process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds, process_max_fds,
// process_cpu_seconds_total and process_start_time_seconds, read at each scrape. A value that
// cannot be read is left out. Source: prometheus.io, "Writing client libraries", process metrics;
// proc(5).
class ProcessMetrics final : public prometheus::Collectable {
 public:
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_PROMETHEUS_PROCESS_H_
