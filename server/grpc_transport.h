// gRPC's server, set up for callers who are not to be trusted with its defaults.

#ifndef ATTENTION_SERVER_GRPC_TRANSPORT_H_
#define ATTENTION_SERVER_GRPC_TRANSPORT_H_

#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/json_log.h"
#include "server/server_options.h"

namespace attention::server {

// The names that grpc.health.v1 answers for. "liveness" is SERVING, also while draining, as long as
// GrpcListens; the others are what `serving` says.
void SetHealth(grpc::Server& server, bool serving);

struct GrpcTransport {
  std::unique_ptr<grpc::Server> server;
  std::string address;  // with the port that is really used
};

// Listens and serves `service`, with health (NOT_SERVING at first, but for "liveness") and, if
// asked for, reflection. Returns kUnavailable, as one sentence for the operator, if the address is
// taken. `service` must outlive the server.
[[nodiscard]] absl::StatusOr<GrpcTransport> StartGrpc(const ServerOptions& options,
                                                      grpc::Service& service);

// From now on gRPC's own messages become lines of `log`, which must live as long as the process;
// before, they are dropped. For what a peer did they are of level debug.
void SendGrpcMessagesTo(JsonLog& log);

// False, for good, once gRPC takes no more new connections, in any server of this process:
// gRPC 1.51 gives a listener up where accepting fails, as without free file descriptors, and tells
// it by a message alone. Thread safety: may be called from any thread.
[[nodiscard]] bool GrpcListens();

}  // namespace attention::server

#endif  // ATTENTION_SERVER_GRPC_TRANSPORT_H_
