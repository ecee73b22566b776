#include "server/lifecycle.h"

#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <string>
#include <system_error>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/execution.h"
#include "server/attention_server.h"
#include "server/build_info.h"
#include "server/grpc_transport.h"

namespace attention::server {
namespace {

// Beyond the drain's own timeout: a cancelled computation ends at its next tile.
constexpr std::chrono::milliseconds kWatchdogMargin{5000};

sigset_t TerminationSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

sigset_t OperatorSignals() {
  sigset_t signals = TerminationSignals();
  sigaddset(&signals, SIGHUP);
  return signals;
}

// Says stop while SIGTERM or SIGINT waits for somebody to ask.
class PendingTermination final : public kernels::StopSignal {
 public:
  [[nodiscard]] bool StopRequested() const override {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
  }
};

void LogServing(const AttentionServer& server, JsonLog& log) {
  log.Write(LogLevel::kInfo, "serving",
            {{"grpc_address", server.grpc_address()},
             {"http_address", server.http_address()},
             {"implementation", server.implementation()},
             {"compute_threads", int64_t{server.compute_thread_count()}},
             {"version", Version()}});
}

// The first signal has come. Another one means that nothing is worth waiting for any more.
void Drain(AttentionServer& server, const ServerOptions& options, JsonLog& log,
           Watchdog& watchdog) {
  log.Write(LogLevel::kInfo, "draining", {{"grace_ms", int64_t{options.drain_grace.count()}}});
  server.TurnNotServing();
  (void)WaitForTerminationSignal(options.drain_grace);

  log.Write(LogLevel::kInfo, "shutting down",
            {{"timeout_ms", int64_t{options.drain_timeout.count()}}});
  watchdog.Start(options.drain_timeout + kWatchdogMargin);
  server.Shutdown([&log] {
    const bool give_up = WaitForTerminationSignal(std::chrono::milliseconds(0));
    if (give_up) log.Write(LogLevel::kInfo, "cancelling calls");
    return give_up;
  });
}

// Tells the operator why there is no server; returns the exit code.
int Refuse(absl::string_view why, int exit_code) {
  std::fputs(absl::StrCat("attention_server: ", why, "\n").c_str(), stderr);
  return exit_code;
}

// Throws std::system_error if a thread cannot be started.
int Serve(const ParsedOptions& parsed, JsonLog& log) {
  const PendingTermination termination;
  Watchdog watchdog(log);  // its thread is made while there is room for one
  SendGrpcMessagesTo(log);
  const absl::StatusOr<std::unique_ptr<AttentionServer>> server =
      AttentionServer::Start(parsed.options, log, &termination);
  if (absl::IsCancelled(server.status())) {
    log.Write(LogLevel::kInfo, "stopped before it served");
    return 0;
  }
  if (!server.ok()) {
    return Refuse(server.status().message(),
                  absl::IsInvalidArgument(server.status()) ? kUsageExitCode : 1);
  }
  for (const std::string& variable : parsed.unknown_variables) {
    log.Write(LogLevel::kWarning, "unknown environment variable", {{"variable", variable}});
  }
  LogServing(**server, log);
  while (WaitForSignal() == OperatorSignal::kReload) (*server)->ReloadLayers(&termination);
  Drain(**server, parsed.options, log, watchdog);
  log.Write(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace

void KeepFreedMemory() {
  constexpr int kMiB = 1 << 20;
  mallopt(M_MMAP_THRESHOLD, 32 * kMiB);  // the largest that the C library takes
  mallopt(M_TRIM_THRESHOLD, 512 * kMiB);
  mallopt(M_TOP_PAD, 64 * kMiB);
}

void PrepareFiles() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (fcntl(fd, F_GETFD) == -1) (void)open("/dev/null", O_RDWR);  // takes the lowest number
  }
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)setrlimit(RLIMIT_NOFILE, &limit);
}

void HoldSignals() {
  const sigset_t signals = OperatorSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

OperatorSignal WaitForSignal() {
  const sigset_t signals = OperatorSignals();
  int received = 0;
  while (sigwait(&signals, &received) != 0) {
  }
  return received == SIGHUP ? OperatorSignal::kReload : OperatorSignal::kTerminate;
}

bool WaitForTerminationSignal(std::chrono::milliseconds timeout) {
  const sigset_t signals = TerminationSignals();
  const auto end = std::chrono::steady_clock::now() + timeout;
  while (true) {
    const auto left = std::max(std::chrono::nanoseconds(0),
                               std::chrono::nanoseconds(end - std::chrono::steady_clock::now()));
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec wait = {.tv_sec = static_cast<time_t>(seconds.count()),
                           .tv_nsec = static_cast<long>((left - seconds).count())};
    if (sigtimedwait(&signals, nullptr, &wait) > 0) return true;
    if (errno != EINTR) return false;
  }
}

void Watchdog::Start(std::chrono::milliseconds timeout) {
  thread_.Run([this, timeout] {
    std::unique_lock<std::mutex> lock(mutex_);
    if (dismissed_changed_.wait_for(lock, timeout, [this] { return dismissed_; })) return;
    log_.Write(LogLevel::kError, "shutdown did not finish in time; exiting");
    _exit(1);
  });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    dismissed_ = true;
  }
  dismissed_changed_.notify_all();
}

int ServeUntilTerminated(const ParsedOptions& parsed) {
  // Never destroyed: gRPC's threads may write to it until the process is gone.
  static JsonLog& log = *new JsonLog(parsed.options.log_level);
  try {
    return Serve(parsed, log);
  } catch (const std::system_error& error) {
    return Refuse(absl::StrCat("no room for the server's threads: ", error.code().message()), 1);
  }
}

}  // namespace attention::server
