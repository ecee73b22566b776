#include "server/stderr_sink.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

namespace attention::server {
namespace {

constexpr int kPatienceMilliseconds = 100;

// Whether a write of PIPE_BUF bytes would not block, which is what a pipe's POLLOUT means.
bool HasRoom(int timeout_milliseconds) {
  pollfd standard_error = {.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
  return poll(&standard_error, 1, timeout_milliseconds) > 0 &&
         (standard_error.revents & POLLOUT) != 0;
}

}  // namespace

void StderrSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t line;
  formatter_->format(message, line);
  bool written = true;
  if (lost_lines_ > 0) {
    written = TryWrite((torn_ ? "\n" : "") + lost_lines_text_(lost_lines_) + "\n");
    if (written) lost_lines_ = 0;
  }
  if (!written || !TryWrite({line.data(), line.size()})) ++lost_lines_;
}

bool StderrSink::TryWrite(std::string_view bytes) {
  const size_t size = bytes.size();
  while (!bytes.empty()) {
    if (!HasRoom(lost_lines_ == 0 ? kPatienceMilliseconds : 0)) break;
    const ssize_t count =
        write(STDERR_FILENO, bytes.data(), std::min(bytes.size(), size_t{PIPE_BUF}));
    if (count > 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EINTR) {
      break;
    }
  }
  if (bytes.size() < size) torn_ = !bytes.empty();
  return bytes.empty();
}

}  // namespace attention::server
