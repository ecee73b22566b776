// The whole service in one object: engine, gRPC, HTTP, health.

#ifndef ATTENTION_SERVER_ATTENTION_SERVER_H_
#define ATTENTION_SERVER_ATTENTION_SERVER_H_

#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "kernels/execution.h"
#include "server/json_log.h"
#include "server/server_options.h"

namespace attention::server {

// Thread safety: one thread starts, drains and destroys it.
class AttentionServer {
 public:
  // Has warmed up, listens and serves when this returns. Over HTTP it says from the beginning that
  // it lives, and that it is not ready; over gRPC it listens once it has warmed up. At most one in
  // a process may name an implementation. The error is one sentence for the operator; kCancelled if
  // `stop`, which is asked between layers, said so. Throws std::system_error if a thread cannot be
  // started. `log` must outlive the server.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<AttentionServer>> Start(
      const ServerOptions& options, JsonLog& log, const kernels::StopSignal* stop = nullptr);

  // As Shutdown, at once.
  ~AttentionServer();

  // With the ports that are really used.
  [[nodiscard]] const std::string& grpc_address() const;
  [[nodiscard]] const std::string& http_address() const;
  [[nodiscard]] const std::string& implementation() const;  // the preferred one
  [[nodiscard]] int compute_thread_count() const;

  // Offers the layers that their directory holds now; if that is not whole, the log says why, and
  // those before stay. `stop` is asked between layers.
  void ReloadLayers(const kernels::StopSignal* stop);

  // Tells everybody who asks for its health to go elsewhere, and goes on serving.
  void TurnNotServing();

  // Refuses new calls with UNAVAILABLE and returns when the accepted ones are finished, which are
  // cancelled after drain_timeout, or once `give_up`, which is asked from time to time, says so. A
  // computation that is cancelled ends at its next tile. A call whose request is still arriving is
  // answered CANCELLED, by gRPC: between TurnNotServing and this there should be time for what is
  // on its way.
  void Shutdown(absl::FunctionRef<bool()> give_up = [] { return false; });

 private:
  class Impl;
  explicit AttentionServer(std::unique_ptr<Impl> impl);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_ATTENTION_SERVER_H_
