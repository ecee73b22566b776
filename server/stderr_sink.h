// Lines to standard error that hold nobody up.

#ifndef ATTENTION_SERVER_STDERR_SINK_H_
#define ATTENTION_SERVER_STDERR_SINK_H_

#include <spdlog/sinks/base_sink.h>

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace attention::server {

// A reader of standard error that has stopped reading (a stuck collector behind a pipe) would block
// every thread that logs. This sink waits for it once, shortly, and then drops lines until there is
// room again; the first line after that is `lost_lines_text` of how many were dropped.
class StderrSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit StderrSink(std::function<std::string(int64_t lost_lines)> lost_lines_text)
      : lost_lines_text_(std::move(lost_lines_text)) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}

  [[nodiscard]] bool TryWrite(std::string_view bytes);

  const std::function<std::string(int64_t)> lost_lines_text_;
  int64_t lost_lines_ = 0;  // since the last one that was written
  bool torn_ = false;       // the last one was written in part
};

}  // namespace attention::server

#endif  // ATTENTION_SERVER_STDERR_SINK_H_
