// Connections as this library wants them.

#ifndef ATTENTION_CLIENT_CHANNEL_H_
#define ATTENTION_CLIENT_CHANNEL_H_

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace attention::client {

struct ChannelOptions {
  // Of one message, sent or received. The default is the server's default limit and a margin for
  // what surrounds the tensors; raising it costs memory only when such a message comes.
  int max_message_bytes = 256 * 1024 * 1024 + 64 * 1024;

  // Whether the http_proxy variables of the environment apply. Off, because an attention server is
  // usually near, and a proxy that cannot reach it would hide it.
  bool use_http_proxy = false;
};

// A plaintext channel to "host:port" or any other gRPC target; connects at the first call. gRPC's
// own retries are off, because AttentionClient does them, and a lost connection is made anew soon
// enough for those. For TLS make the channel yourself and set GRPC_ARG_ENABLE_RETRIES to 0,
// GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS to 100, GRPC_ARG_MAX_RECONNECT_BACKOFF_MS to 400, and both
// message limits as here.
[[nodiscard]] std::shared_ptr<grpc::Channel> MakeChannel(const std::string& target,
                                                         const ChannelOptions& options = {});

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_CHANNEL_H_
