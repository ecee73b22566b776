// The process around the server: its memory, its signals, its end.

#ifndef ATTENTION_SERVER_LIFECYCLE_H_
#define ATTENTION_SERVER_LIFECYCLE_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "server/json_log.h"
#include "server/parked_thread.h"
#include "server/server_options.h"

namespace attention::server {

// Keeps freed memory for the next request instead of giving it back to the system and faulting it
// in again, which costs more than everything else that gRPC does with messages of some MiB. Call it
// before any thread exists.
void KeepFreedMemory();

// Opens what the process was started without of standard input, output and error, so that no
// connection gets their numbers, and lets it have as many open files as the system allows:
// gRPC 1.51 stops to accept connections, for good, when it once runs out of them. Call it first.
void PrepareFiles();

// From now on SIGTERM, SIGINT and SIGHUP wait until somebody asks for them, in every thread that is
// started later, and writing to a closed connection is an error instead of the end. Call it before
// any thread exists.
void HoldSignals();

// SIGTERM or SIGINT, and SIGHUP.
enum class OperatorSignal : uint8_t { kTerminate, kReload };

// Returns once one has come.
[[nodiscard]] OperatorSignal WaitForSignal();

// Returns whether SIGTERM or SIGINT came within `timeout`.
[[nodiscard]] bool WaitForTerminationSignal(std::chrono::milliseconds timeout);

// Ends the process with code 1 unless it is destroyed within `timeout` after Start: an orchestrator
// would kill it anyway, later and without a word.
class Watchdog {
 public:
  explicit Watchdog(JsonLog& log) : log_(log) {}
  ~Watchdog();

  // At most once.
  void Start(std::chrono::milliseconds timeout);

 private:
  JsonLog& log_;
  std::mutex mutex_;
  std::condition_variable dismissed_changed_;
  bool dismissed_ = false;
  ParkedThread thread_;  // last: it uses the rest
};

// Starts the server, serves until a termination signal, which may come while it starts, drains, and
// returns the exit code: 0, or 1 if the server could not start, with one sentence on standard
// error.
[[nodiscard]] int ServeUntilTerminated(const ParsedOptions& parsed);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LIFECYCLE_H_
