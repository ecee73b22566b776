// The server's flags, which are also environment variables.

#ifndef ATTENTION_SERVER_SERVER_OPTIONS_H_
#define ATTENTION_SERVER_SERVER_OPTIONS_H_

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/attend.h"
#include "server/core/attention_engine.h"
#include "server/core/warm_up.h"
#include "server/json_log.h"

namespace attention::server {

// How gRPC treats connections. Defaults follow what closes dead and abusive peers soon and leaves
// good ones alone.
struct ConnectionOptions {
  std::chrono::seconds keepalive_time{30};  // silence after which the server pings a client
  std::chrono::seconds keepalive_timeout{
      10};                             // and closes the connection without an answer for this long
  std::chrono::seconds max_idle{300};  // a connection without calls is closed
  std::chrono::seconds max_age{1800};  // any connection is, so that clients find new servers

  // Calls on a connection that is too old have this long to finish. 0: max_deadline and 30 s.
  std::chrono::seconds max_age_grace{0};
};

struct ServerOptions {
  std::string grpc_address = "127.0.0.1:8001";
  std::string http_address = "127.0.0.1:8002";
  EngineOptions engine;           // thread_count 0: as many as this process may use
  int64_t grpc_memory_bytes = 0;  // 0: engine.max_bytes_in_flight and 64 MiB
  std::chrono::seconds max_deadline{300};
  int64_t max_cache_bytes = int64_t{1} << 30;
  std::chrono::seconds max_stream_idle{300};
  std::string implementation;  // empty: the best that this machine can run
  kernels::Precision default_precision = kernels::Precision::kF32;
  WarmUpOptions warm_up = {.shapes = CommonWarmUpShapes()};
  std::string layers_directory;  // empty: no layers
  int64_t max_layer_bytes = int64_t{4} << 30;
  bool reflection = true;
  LogLevel log_level = LogLevel::kInfo;
  std::chrono::milliseconds drain_grace{5000};
  std::chrono::milliseconds drain_timeout{30000};
  ConnectionOptions connections;
};

struct ParsedOptions {
  ServerOptions options;
  std::vector<std::string> unknown_variables;  // ATTENTION_... in the environment that is no flag

  // Set: print `text`, to standard error if the code is not 0, and exit. `text` is the help, the
  // version or one sentence that says what is wrong.
  std::optional<int> exit_code;
  std::string text;
};

inline constexpr int kUsageExitCode = 2;

// Reads flags from `arguments` (without the program's name) and, where a flag is absent, its
// environment variable: that of --grpc-address is ATTENTION_GRPC_ADDRESS, and an empty one counts
// as absent. `environment` holds NAME=VALUE.
[[nodiscard]] ParsedOptions ParseServerOptions(const std::vector<std::string>& arguments,
                                               const std::vector<std::string>& environment);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_SERVER_OPTIONS_H_
