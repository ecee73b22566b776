#include "server/prometheus_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <array>
#include <map>
#include <mutex>
#include <sstream>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/implementation.h"
#include "server/core/operator_tasks.h"
#include "server/core/precision.h"
#include "server/prometheus_process.h"
#include "server/status_code_names.h"

namespace attention::server {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;
using prometheus::Registry;
using Buckets = Histogram::BucketBoundaries;

// 10 us to 60 s.
const Buckets& SecondsBuckets() {
  static const Buckets buckets = {1e-5,   2.5e-5, 5e-5, 1e-4,   2.5e-4, 5e-4, 1e-3,
                                  2.5e-3, 5e-3,   1e-2, 2.5e-2, 5e-2,   0.1,  0.25,
                                  0.5,    1,      2.5,  5,      10,     30,   60};
  return buckets;
}

Buckets PowersOfFour(double first, double last) {
  Buckets buckets;
  for (double bound = first; bound <= last; bound *= 4) buckets.push_back(bound);
  return buckets;
}

Buckets BytesBuckets() { return PowersOfFour(256, 256.0 * 1024 * 1024); }
Buckets LengthBuckets() { return PowersOfFour(1, 1024.0 * 1024); }
Buckets SharingBuckets() { return {1, 2, 4, 8, 16, 32}; }

size_t CodeIndex(absl::StatusCode code) {
  const absl::StatusCode known = CodeForCaller(code);
  size_t index = 0;
  while (kCallerCodes[index].code != known) ++index;
  return index;
}

Gauge& AddGauge(Registry& registry, const char* name, const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

Histogram& AddHistogram(Registry& registry, const char* name, const char* help,
                        const Buckets& buckets) {
  return BuildHistogram().Name(name).Help(help).Register(registry).Add({}, buckets);
}

std::array<Histogram*, kMethods.size()> AddHistogramPerMethod(Registry& registry, const char* name,
                                                              const char* help) {
  Family<Histogram>& family = BuildHistogram().Name(name).Help(help).Register(registry);
  std::array<Histogram*, kMethods.size()> result = {};
  for (const Method method : kMethods) {
    result[static_cast<size_t>(method)] =
        &family.Add({{"method", std::string(Name(method))}}, SecondsBuckets());
  }
  return result;
}

std::map<std::pair<std::string_view, std::string_view>, Counter*> AddCounterPerArithmetic(
    Registry& registry) {
  Family<Counter>& family = BuildCounter()
                                .Name("attention_computations_total")
                                .Help(
                                    "Requests computed, by kernel and by the arithmetic of "
                                    "attention's matrix products, or of the sums where there are "
                                    "none.")
                                .Register(registry);
  std::vector<std::string_view> names = {kElementwise};
  for (const kernels::Implementation* implementation : kernels::AllImplementations()) {
    names.push_back(implementation->name());
  }
  std::map<std::pair<std::string_view, std::string_view>, Counter*> result;
  for (const std::string_view name : names) {
    for (const std::string_view precision : kReportedPrecisions) {
      result[{name, precision}] = &family.Add(
          {{"implementation", std::string(name)}, {"precision", std::string(precision)}});
    }
  }
  return result;
}

}  // namespace

struct PrometheusMetrics::Series {
  Series(const BuildInfo& build_info, int compute_thread_count);

  Registry registry;
  std::array<std::array<Counter*, kCallerCodes.size()>, kMethods.size()> requests = {};
  Gauge& requests_in_flight =
      AddGauge(registry, "attention_requests_in_flight", "Requests received and not yet answered.");
  Gauge& queue_depth =
      AddGauge(registry, "attention_queue_depth", "Requests waiting for a compute thread.");
  Histogram& queue_wait =
      AddHistogram(registry, "attention_queue_wait_seconds",
                   "Time that requests waited for a compute thread.", SecondsBuckets());
  std::array<Histogram*, kMethods.size()> compute = AddHistogramPerMethod(
      registry, "attention_compute_seconds",
      "Time on compute threads, also of requests that were stopped there; for requests of "
      "a layer that were computed together, for each the time of all.");
  std::array<Histogram*, kMethods.size()> total =
      AddHistogramPerMethod(registry, "attention_request_seconds",
                            "Time from the last byte received to the answer being complete.");
  Histogram& request_bytes =
      AddHistogram(registry, "attention_request_bytes", "Size of requests.", BytesBuckets());
  Histogram& response_bytes = AddHistogram(registry, "attention_response_bytes",
                                           "Size of successful responses.", BytesBuckets());
  Counter& flops = BuildCounter()
                       .Name("attention_flops_total")
                       .Help("Floating point operations of the projections and attention computed.")
                       .Register(registry)
                       .Add({});
  std::map<std::pair<std::string_view, std::string_view>, Counter*> computations =
      AddCounterPerArithmetic(registry);   // by implementation and precision
  std::array<Histogram*, 2> lengths = {};  // query, key
  std::array<Counter*, kRejections.size()> rejected = {};
  Counter* cancelled = nullptr;
  Counter* deadline_exceeded = nullptr;
  Gauge& bytes_in_flight =
      AddGauge(registry, "attention_bytes_in_flight",
               "Memory reserved for requests, intermediate results and answers.");
  Gauge& layers = AddGauge(registry, "attention_layers", "Layers that requests can name.");
  Gauge& layer_bytes =
      AddGauge(registry, "attention_layer_bytes", "Memory for layers, as stored and packed.");
  Gauge& streams = AddGauge(registry, "attention_streams", "Streams of DecodeAttention.");
  Gauge& cache_bytes = AddGauge(registry, "attention_cache_bytes",
                                "Memory for the keys and values that streams keep.");
  std::array<Counter*, 2> layer_loads = {};  // refused, succeeded
  Histogram& sharing_requests = AddHistogram(
      registry, "attention_layer_sharing_requests",
      "Requests of a layer whose projections were computed in one product.", SharingBuckets());
  ProcessMetrics process;

  std::mutex source_mutex;
  std::function<int64_t()> bytes_in_flight_source;
  std::function<LayerUse()> layer_source;
  std::function<StreamUse()> stream_source;
};

PrometheusMetrics::Series::Series(const BuildInfo& build_info, int compute_thread_count) {
  Family<Counter>& request_family = BuildCounter()
                                        .Name("attention_requests_total")
                                        .Help("Requests answered, by status code.")
                                        .Register(registry);
  for (const Method method : kMethods) {
    for (size_t code = 0; code < kCallerCodes.size(); ++code) {
      requests[static_cast<size_t>(method)][code] = &request_family.Add(
          {{"method", std::string(Name(method))}, {"code", std::string(kCallerCodes[code].name)}});
    }
  }
  Family<Histogram>& length_family =
      BuildHistogram()
          .Name("attention_sequence_length")
          .Help("Queries and keys per sequence of computed requests.")
          .Register(registry);
  lengths = {&length_family.Add({{"role", "query"}}, LengthBuckets()),
             &length_family.Add({{"role", "key"}}, LengthBuckets())};
  Family<Counter>& rejected_family = BuildCounter()
                                         .Name("attention_rejected_total")
                                         .Help("Requests turned away before any work.")
                                         .Register(registry);
  for (const Rejection reason : kRejections) {
    rejected[static_cast<size_t>(reason)] =
        &rejected_family.Add({{"reason", std::string(Name(reason))}});
  }
  Family<Counter>& stopped_family =
      BuildCounter()
          .Name("attention_stopped_total")
          .Help(
              "Requests ended early: cancelled by their caller, by gRPC or by the end of a drain, "
              "or past their deadline.")
          .Register(registry);
  cancelled = &stopped_family.Add({{"code", "cancelled"}});
  deadline_exceeded = &stopped_family.Add({{"code", "deadline_exceeded"}});
  Family<Counter>& load_family = BuildCounter()
                                     .Name("attention_layer_loads_total")
                                     .Help("How often the layers' directory was loaded or refused.")
                                     .Register(registry);
  layer_loads = {&load_family.Add({{"result", "refused"}}),
                 &load_family.Add({{"result", "loaded"}})};
  AddGauge(registry, "attention_compute_threads", "Threads that compute.")
      .Set(compute_thread_count);
  BuildGauge()
      .Name("attention_build_info")
      .Help("Always 1; the labels say what runs.")
      .Register(registry)
      .Add({{"version", build_info.version},
            {"implementation", build_info.implementation},
            {"instruction_set", build_info.instruction_set},
            {"grpc_version", build_info.grpc_version}})
      .Set(1);
}

PrometheusMetrics::PrometheusMetrics(const BuildInfo& build_info, int compute_thread_count)
    : series_(std::make_unique<Series>(build_info, compute_thread_count)) {}

PrometheusMetrics::~PrometheusMetrics() = default;

void PrometheusMetrics::SetBytesInFlightSource(std::function<int64_t()> source) {
  const std::lock_guard<std::mutex> lock(series_->source_mutex);
  series_->bytes_in_flight_source = std::move(source);
}

void PrometheusMetrics::SetLayerSource(std::function<LayerUse()> source) {
  const std::lock_guard<std::mutex> lock(series_->source_mutex);
  series_->layer_source = std::move(source);
}

void PrometheusMetrics::SetStreamSource(std::function<StreamUse()> source) {
  const std::lock_guard<std::mutex> lock(series_->source_mutex);
  series_->stream_source = std::move(source);
}

void PrometheusMetrics::LayersLoaded(bool succeeded) {
  series_->layer_loads[succeeded ? 1 : 0]->Increment();
}

std::string PrometheusMetrics::Text() const {
  {
    const std::lock_guard<std::mutex> lock(series_->source_mutex);
    if (series_->bytes_in_flight_source) {
      series_->bytes_in_flight.Set(static_cast<double>(series_->bytes_in_flight_source()));
    }
    if (series_->layer_source) {
      const LayerUse use = series_->layer_source();
      series_->layers.Set(static_cast<double>(use.layer_count));
      series_->layer_bytes.Set(static_cast<double>(use.bytes));
    }
    if (series_->stream_source) {
      const StreamUse use = series_->stream_source();
      series_->streams.Set(static_cast<double>(use.stream_count));
      series_->cache_bytes.Set(static_cast<double>(use.bytes));
    }
  }
  std::vector<prometheus::MetricFamily> families = series_->registry.Collect();
  for (prometheus::MetricFamily& family : series_->process.Collect())
    families.push_back(std::move(family));
  std::ostringstream text;
  prometheus::TextSerializer().Serialize(text, families);
  return std::move(text).str();
}

void PrometheusMetrics::RequestStarted(Method /*method*/, int64_t request_bytes) {
  series_->requests_in_flight.Increment();
  series_->request_bytes.Observe(static_cast<double>(request_bytes));
}

void PrometheusMetrics::RequestFinished(Method method, absl::StatusCode code, double total_seconds,
                                        int64_t response_bytes) {
  const auto index = static_cast<size_t>(method);
  series_->requests_in_flight.Decrement();
  series_->requests[index][CodeIndex(code)]->Increment();
  series_->total[index]->Observe(total_seconds);
  if (code == absl::StatusCode::kOk)
    series_->response_bytes.Observe(static_cast<double>(response_bytes));
}

void PrometheusMetrics::RequestRejected(Rejection reason) {
  series_->rejected[static_cast<size_t>(reason)]->Increment();
}

void PrometheusMetrics::RequestStopped(absl::StatusCode code) {
  const bool cancelled = code == absl::StatusCode::kCancelled;
  (cancelled ? series_->cancelled : series_->deadline_exceeded)->Increment();
}

void PrometheusMetrics::QueueDepthChanged(int64_t depth) {
  series_->queue_depth.Set(static_cast<double>(depth));
}

void PrometheusMetrics::QueueWaited(double seconds) { series_->queue_wait.Observe(seconds); }

void PrometheusMetrics::ComputeTimeSpent(Method method, double seconds) {
  series_->compute[static_cast<size_t>(method)]->Observe(seconds);
}

void PrometheusMetrics::Computed(const Computation& computation) {
  series_->flops.Increment(computation.flops);
  const auto found =
      series_->computations.find({computation.implementation, computation.precision});
  if (found != series_->computations.end()) found->second->Increment();
}

void PrometheusMetrics::SequenceLengths(int64_t query_count, int64_t key_count) {
  series_->lengths[0]->Observe(static_cast<double>(query_count));
  series_->lengths[1]->Observe(static_cast<double>(key_count));
}

void PrometheusMetrics::ProjectedTogether(int64_t request_count) {
  series_->sharing_requests.Observe(static_cast<double>(request_count));
}

}  // namespace attention::server
