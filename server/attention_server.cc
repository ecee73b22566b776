#include "server/attention_server.h"

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kernels/implementation.h"
#include "server/attention_service.h"
#include "server/build_info.h"
#include "server/codec/precision_codec.h"
#include "server/core/attention_engine.h"
#include "server/core/compute_threads.h"
#include "server/core/status_macros.h"
#include "server/grpc_transport.h"
#include "server/grpc_waker.h"
#include "server/http_server.h"
#include "server/late_calls.h"
#include "server/layers/layer_store.h"
#include "server/parked_thread.h"
#include "server/prometheus_metrics.h"
#include "server/rate_limiter.h"

namespace attention::server {
namespace {

// Lines about requests that failed, each second.
constexpr int64_t kFailureLinesPerSecond = 20;

// Requests of streams that wait for room stay in gRPC's memory, and gRPC ends calls at random where
// that is full. So they may have no more than this part of what may be in flight.
constexpr int64_t kWaitingPart = 4;

// From the last answer's leaving until connections are cut, during which it arrives and clients
// hear that they should go elsewhere. What is left then are health watchers and idle connections,
// which would stay until the deadline.
constexpr std::chrono::milliseconds kGoodbyeTime{1000};

constexpr std::chrono::milliseconds kShutdownPollInterval{10};

EngineOptions WithThreadCount(EngineOptions engine) {
  const std::optional<int> requested =
      engine.thread_count == 0 ? std::nullopt : std::optional<int>(engine.thread_count);
  engine.thread_count = ComputeThreadCount(requested);
  return engine;
}

std::string PreferredImplementation() {
  return std::string(kernels::UsableImplementations().front()->name());
}

v1::GetServerInfoResponse DescribeServer(const EngineOptions& engine,
                                         const RequestDefaults& defaults) {
  v1::GetServerInfoResponse info;
  info.set_version(std::string(Version()));
  for (const kernels::Implementation* implementation : kernels::UsableImplementations()) {
    info.add_implementations(std::string(implementation->name()));
  }
  info.set_instruction_set(std::string(kernels::InstructionSet()));
  info.set_compute_thread_count(engine.thread_count);
  info.set_max_request_bytes(engine.limits.max_request_bytes);
  info.set_max_response_bytes(engine.limits.max_response_bytes);
  info.set_max_request_flops(engine.limits.max_flops);
  info.set_max_request_float64_flops(engine.limits.max_float64_flops);
  info.set_queue_capacity(engine.queue_capacity);
  info.set_default_precision(WirePrecision(defaults.precision));
  return info;
}

absl::Status WithFlag(absl::string_view flag, const absl::Status& status) {
  return {status.code(), absl::StrCat(flag, ": ", status.message())};
}

}  // namespace

class AttentionServer::Impl {
 public:
  Impl(const ServerOptions& options, JsonLog& log)
      : options_(options),
        log_(log),
        implementation_(PreferredImplementation()),
        engine_options_(WithThreadCount(options.engine)),
        metrics_({std::string(Version()), implementation_, std::string(kernels::InstructionSet()),
                  grpc::Version()},
                 engine_options_.thread_count),
        layers_(options.layers_directory, options.max_layer_bytes),
        engine_(engine_options_, clock_, metrics_, &log),
        failure_log_limiter_(kFailureLinesPerSecond, clock_),
        streams_(options.max_cache_bytes, options.engine.max_bytes_in_flight / kWaitingPart,
                 options.max_stream_idle),
        service_({engine_,
                  metrics_,
                  clock_,
                  log,
                  failure_log_limiter_,
                  options.max_deadline,
                  {.precision = options.default_precision},
                  layers_.registry(),
                  late_calls_,
                  live_call_count_},
                 streams_,
                 DescribeServer(engine_options_, {.precision = options.default_precision})) {
    metrics_.SetBytesInFlightSource([this] { return engine_.bytes_in_flight(); });
    metrics_.SetLayerSource(
        [this] { return LayerUse{layers_.layer_count(), layers_.used_bytes()}; });
    metrics_.SetStreamSource(
        [this] { return StreamUse{streams_.count(), streams_.cache_bytes()}; });
  }

  ~Impl() {
    Shutdown(std::chrono::milliseconds(0), [] { return false; });
    http_.reset();  // its probes use the transport
  }

  absl::Status Start(const kernels::StopSignal* stop) {
    absl::StatusOr<std::unique_ptr<HttpServer>> http = HttpServer::Start(
        options_.http_address, {.metrics = [this] { return metrics_.Text(); },
                                .alive = [this] { return CheckListening(); },
                                .ready = [this] { return CheckListening() && ready_.load(); }});
    if (!http.ok()) return WithFlag("--http-address", http.status());
    http_ = *std::move(http);
    if (absl::Status status = LoadLayers(stop); !status.ok()) {
      return WithFlag("--layers-directory", status);
    }
    // Before there can be calls: it waits for every compute thread, and they would wait for it.
    const WarmUpReport warm_up = engine_.WarmUp(options_.warm_up, options_.default_precision);
    absl::StatusOr<GrpcTransport> transport = StartGrpc(options_, service_);
    if (!transport.ok()) return WithFlag("--grpc-address", transport.status());
    transport_ = *std::move(transport);
    waker_.emplace(*transport_.server);
    LogWarmUp(warm_up);
    SetHealth(*transport_.server, true);
    ready_ = true;
    return absl::OkStatus();
  }

  void ReloadLayers(const kernels::StopSignal* stop) {
    if (layers_.directory().empty()) {
      log_.Write(LogLevel::kWarning, "SIGHUP changes nothing: no --layers-directory", {});
      return;
    }
    const absl::Status status = LoadLayers(stop);
    if (status.ok()) return;
    const absl::string_view detail = status.message();
    log_.Write(LogLevel::kError, "layers not loaded; those before stay",
               {{"detail", std::string_view(detail.data(), detail.size())}});
  }

  void TurnNotServing() {
    ready_ = false;
    if (transport_.server != nullptr) SetHealth(*transport_.server, false);
  }

  void Shutdown(std::chrono::milliseconds timeout, absl::FunctionRef<bool()> give_up) {
    TurnNotServing();
    engine_.BeginDrain();
    streams_.EndAll();
    if (transport_.server == nullptr || std::exchange(is_shut_down_, true)) return;
    waker_.reset();
    const auto deadline = std::chrono::system_clock::now() + timeout;
    closer_.Run([this, deadline] { transport_.server->Shutdown(deadline); });
    TimePoint last_busy = clock_.Now();
    while (!closer_.WaitFor(kShutdownPollInterval)) {
      if (live_call_count_.load(std::memory_order_relaxed) > 0) last_busy = clock_.Now();
      if (give_up() || clock_.Now() - last_busy >= kGoodbyeTime) {
        // As Server::Shutdown does when its time is up.
        grpc_server_cancel_all_calls(transport_.server->c_server());
      }
    }
  }

  [[nodiscard]] const ServerOptions& options() const { return options_; }
  [[nodiscard]] const std::string& grpc_address() const { return transport_.address; }
  [[nodiscard]] const std::string& http_address() const { return http_->address(); }
  [[nodiscard]] const std::string& implementation() const { return implementation_; }
  [[nodiscard]] int compute_thread_count() const { return engine_options_.thread_count; }

 private:
  // If the listener is gone, tells connected clients too, by the health service.
  bool CheckListening() {
    if (GrpcListens()) return true;
    if (ready_.exchange(false)) SetHealth(*transport_.server, false);
    return false;
  }

  absl::Status LoadLayers(const kernels::StopSignal* stop) {
    if (layers_.directory().empty()) return absl::OkStatus();
    const TimePoint start = clock_.Now();
    const absl::Status status =
        layers_.Load({.precision = options_.default_precision, .stop = stop});
    metrics_.LayersLoaded(status.ok());
    if (!status.ok()) return status;
    const auto elapsed =
        std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Now() - start);
    log_.Write(LogLevel::kInfo, "layers loaded",
               {{"directory", layers_.directory()},
                {"layers", layers_.layer_count()},
                {"bytes", layers_.used_bytes()},
                {"elapsed_ms", int64_t{elapsed.count()}}});
    return status;
  }

  void LogWarmUp(const WarmUpReport& report) {
    if (report.planned_task_count > 0) {
      log_.Write(LogLevel::kInfo, "warmed up",
                 {{"tasks", report.computed_task_count},
                  {"planned_tasks", report.planned_task_count},
                  {"elapsed_ms", report.elapsed.count() / 1'000'000}});
    }
    if (!report.status.ok()) {
      const absl::string_view detail = report.status.message();
      log_.Write(LogLevel::kWarning, "warming up met a fault",
                 {{"detail", std::string_view(detail.data(), detail.size())}});
    }
  }

  const ServerOptions options_;
  JsonLog& log_;
  const std::string implementation_;
  const EngineOptions engine_options_;
  const SteadyClock clock_;
  PrometheusMetrics metrics_;
  LayerStore layers_;  // before the engine, whose tasks use them
  AttentionEngine engine_;
  RateLimiter failure_log_limiter_;
  LateCalls late_calls_;
  std::atomic<int64_t> live_call_count_ = 0;
  DecodeStreams streams_;
  AttentionServiceImpl service_;
  std::atomic<bool> ready_ = false;
  bool is_shut_down_ = false;
  std::unique_ptr<HttpServer> http_;
  GrpcTransport transport_;  // its calls use the rest
  std::optional<GrpcWaker> waker_;
  ParkedThread closer_;
};

absl::StatusOr<std::unique_ptr<AttentionServer>> AttentionServer::Start(
    const ServerOptions& options, JsonLog& log, const kernels::StopSignal* stop) {
  if (!options.implementation.empty()) {
    if (const absl::Status status = kernels::UseImplementation(options.implementation);
        !status.ok()) {
      // "implementation: got ..."
      return absl::Status(status.code(), absl::StrCat("--", status.message()));
    }
  }
  auto impl = std::make_unique<Impl>(options, log);
  ATTENTION_RETURN_IF_ERROR(impl->Start(stop));
  return std::unique_ptr<AttentionServer>(new AttentionServer(std::move(impl)));
}

AttentionServer::AttentionServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AttentionServer::~AttentionServer() = default;

const std::string& AttentionServer::grpc_address() const { return impl_->grpc_address(); }
const std::string& AttentionServer::http_address() const { return impl_->http_address(); }
const std::string& AttentionServer::implementation() const { return impl_->implementation(); }
int AttentionServer::compute_thread_count() const { return impl_->compute_thread_count(); }
void AttentionServer::ReloadLayers(const kernels::StopSignal* stop) { impl_->ReloadLayers(stop); }
void AttentionServer::TurnNotServing() { impl_->TurnNotServing(); }
void AttentionServer::Shutdown(absl::FunctionRef<bool()> give_up) {
  impl_->Shutdown(impl_->options().drain_timeout, give_up);
}

}  // namespace attention::server
