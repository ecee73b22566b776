#include "server/grpc_transport.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/compression.h>
#include <grpc/grpc.h>
#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/server_builder_option.h>
#include <grpcpp/impl/server_builder_plugin.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "attention/v1/attention_service.grpc.pb.h"
#include "grpc/health/v1/health.pb.h"
#include "server/listen_address.h"

namespace attention::server {
namespace {

// What arrives beyond the largest request, so that our own answer, which names the limit, comes
// before gRPC's.
constexpr int64_t kReceiveMarginBytes = int64_t{1} << 20;

// Beyond max_bytes_in_flight. Where memory runs out gRPC ends calls, so there is some to spare.
constexpr int64_t kMemoryMarginBytes = int64_t{64} << 20;

// A call may be as old as the longest deadline when its connection ends, and its answer must still
// go out.
constexpr std::chrono::seconds kAgeGraceMargin{30};

// Each open stream of reflection, which is a synchronous service, keeps one. Beyond, its calls are
// refused; all other methods need none of these.
constexpr int kMaxSynchronousThreads = 8;

constexpr int kMaxConcurrentStreams = 100;  // for each connection
constexpr int kMaxMetadataBytes = 8 * 1024;
constexpr int kHandshakeTimeoutMs = 5'000;
constexpr int kMinPingIntervalMs = 10'000;
constexpr int kMaxPingStrikes = 2;

constexpr char kLiveness[] = "liveness";
constexpr char kReadiness[] = "readiness";

// The reflection library adds itself to every server in the process; this takes it out again.
class WithoutReflection final : public grpc::ServerBuilderOption {
 public:
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>* plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) {
      return plugin->name().find("reflection") != std::string::npos;
    });
  }
};

int Milliseconds(std::chrono::seconds duration) {
  return static_cast<int>(std::chrono::milliseconds(duration).count());
}

void SetLimits(const ServerOptions& options, grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(options.engine.limits.max_request_bytes + kReceiveMarginBytes));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  // Compressed messages grow in memory before any limit is looked at.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  // Without a quota a message is buffered whole before its size is checked.
  grpc::ResourceQuota quota("attention_server");
  const int64_t memory_bytes = options.grpc_memory_bytes != 0
                                   ? options.grpc_memory_bytes
                                   : options.engine.max_bytes_in_flight + kMemoryMarginBytes;
  quota.Resize(static_cast<size_t>(memory_bytes));
  quota.SetMaxThreads(kMaxSynchronousThreads);
  builder.SetResourceQuota(quota);
}

void SetConnectionTimes(const ServerOptions& options, grpc::ServerBuilder& builder) {
  const ConnectionOptions& connections = options.connections;
  const std::chrono::seconds age_grace = connections.max_age_grace.count() != 0
                                             ? connections.max_age_grace
                                             : options.max_deadline + kAgeGraceMargin;
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeTimeoutMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Milliseconds(connections.keepalive_time));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             Milliseconds(connections.keepalive_timeout));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kMaxPingStrikes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, Milliseconds(connections.max_idle));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, Milliseconds(connections.max_age));
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, Milliseconds(age_grace));
}

std::atomic<JsonLog*> message_log = nullptr;
std::atomic<bool> listens = true;

void TakeGrpcMessage(gpr_log_func_args* arguments) {
  // What gRPC calls an error is as a rule what a peer did to its own connection; but after one of
  // these there are no new connections.
  const bool deaf = std::string_view(arguments->message).starts_with("Failed accept");
  if (deaf) listens.store(false, std::memory_order_relaxed);
  JsonLog* const log = message_log.load(std::memory_order_acquire);
  if (log == nullptr) return;
  log->Write(deaf ? LogLevel::kError : LogLevel::kDebug, "grpc", {{"detail", arguments->message}});
}

}  // namespace

void SetHealth(grpc::Server& server, bool serving) {
  grpc::HealthCheckServiceInterface& health = *server.GetHealthCheckService();
  // The whole server's last: who watches it finds the others changed already.
  for (const char* name : {v1::AttentionService::service_full_name(), kReadiness, ""}) {
    health.SetServingStatus(name, serving);
  }
  health.SetServingStatus(kLiveness, GrpcListens());
}

absl::StatusOr<GrpcTransport> StartGrpc(const ServerOptions& options, grpc::Service& service) {
  // Protobuf would write a line of its own about every text that is no UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  // Once more than needed, so that gRPC never shuts down: its shutdown can wait ten seconds for a
  // polling thread. The process exits without it.
  grpc_init();
  const absl::StatusOr<ListenAddress> address = ParseListenAddress(options.grpc_address);
  if (!address.ok()) return address.status();
  gpr_set_log_function(TakeGrpcMessage);
  grpc::EnableDefaultHealthCheckService(true);
  if (options.reflection) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    // Reflection describes what is linked in; this links in the health protocol.
    (void)grpc::health::v1::HealthCheckRequest::descriptor();
  }

  grpc::ServerBuilder builder;
  if (!options.reflection) builder.SetOption(std::make_unique<WithoutReflection>());
  SetLimits(options, builder);
  SetConnectionTimes(options, builder);
  // Otherwise a second server could take half of the first one's connections.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  int port = 0;
  builder.AddListeningPort(options.grpc_address, grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  GrpcTransport transport;
  transport.server = builder.BuildAndStart();
  if (transport.server == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.grpc_address,
                                               ": it is in use or not of this machine"));
  }
  // Whatever GRPC_VERBOSITY says, GrpcListens needs them.
  if (gpr_should_log(GPR_LOG_SEVERITY_ERROR) == 0) gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  transport.address = ToString({address->host, port});
  SetHealth(*transport.server, false);
  return transport;
}

void SendGrpcMessagesTo(JsonLog& log) { message_log.store(&log, std::memory_order_release); }

bool GrpcListens() { return listens.load(std::memory_order_relaxed); }

}  // namespace attention::server
