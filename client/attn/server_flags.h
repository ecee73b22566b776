// The flags that say which server is called, and that server.

#ifndef ATTENTION_CLIENT_ATTN_SERVER_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_SERVER_FLAGS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "client/attention_client.h"
#include "client/attn/outcome.h"
#include "grpcpp/channel.h"

namespace CLI {
class App;
}

namespace attention::client {

struct ServerFlags {
  std::string server = "127.0.0.1:8001";
  int64_t deadline_ms = 60'000;
};

// Adds --server (or ATTN_SERVER) and --deadline-ms, whose default is what `flags` holds. A server
// is HOST:PORT or a target with one of gRPC's schemes; anything else is refused. An empty
// ATTN_SERVER counts as absent.
void AddServerFlags(CLI::App* command, ServerFlags* flags);

// The server that the flags name.
class NamedServer {
 public:
  explicit NamedServer(const ServerFlags& flags);

  [[nodiscard]] AttentionClient* client() { return &client_; }

  // What a call's error comes to. Where no server answered, or none in time, it names the server
  // and says what to do about that; what a server said is in it as it was.
  [[nodiscard]] Outcome Failure(const absl::Status& status) const;

  // The same for a call that named a layer: where it is not found, what lists them.
  [[nodiscard]] Outcome LayerFailure(const absl::Status& status) const;

 private:
  const std::string address_;
  const int64_t deadline_ms_;
  const std::shared_ptr<grpc::Channel> channel_;
  AttentionClient client_;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_SERVER_FLAGS_H_
