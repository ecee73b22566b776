// The flags that say which server is called.

#ifndef ATTENTION_CLIENT_ATTN_SERVER_FLAGS_H_
#define ATTENTION_CLIENT_ATTN_SERVER_FLAGS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "client/attention_client.h"

namespace CLI {
class App;
}

namespace attention::client {

struct ServerFlags {
  std::string server = "127.0.0.1:8001";
  int64_t deadline_ms = 60'000;
};

// Adds --server (or ATTN_SERVER) and --deadline-ms, whose default is what `flags` holds.
void AddServerFlags(CLI::App* command, ServerFlags* flags);

[[nodiscard]] std::unique_ptr<AttentionClient> MakeClient(const ServerFlags& flags);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_SERVER_FLAGS_H_
