// The service's log: one JSON object a line, on standard error.

#ifndef ATTENTION_SERVER_JSON_LOG_H_
#define ATTENTION_SERVER_JSON_LOG_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "server/core/log.h"

namespace attention::server {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// "debug", "info", "warning" or "error"; anything else is nothing.
[[nodiscard]] std::optional<LogLevel> ParseLogLevel(std::string_view name);
[[nodiscard]] std::string_view Name(LogLevel level);

struct LogField {
  std::string_view name;
  std::variant<std::string_view, int64_t, double> value;
};

// {"time":"2026-01-02T03:04:05.678Z","level":"info","message":...} and then the fields, in order.
// Texts are escaped, invalid UTF-8 is replaced, and each is cut after kMaxTextBytes, so that no
// caller can forge or flood a line. Thread safety: all methods may be called from any thread. None
// throws; a line that cannot be written, or not within a moment, is lost, and a later one says how
// many were.
class JsonLog final : public Log {
 public:
  static constexpr size_t kMaxTextBytes = 512;

  explicit JsonLog(LogLevel minimum_level) : minimum_level_(minimum_level) {}

  [[nodiscard]] bool Writes(LogLevel level) const { return level >= minimum_level_; }

  void Write(LogLevel level, std::string_view message,
             std::initializer_list<LogField> fields = {}) noexcept;

  void InternalError(std::string_view request_id, std::string_view detail) override;

 private:
  const LogLevel minimum_level_;
};

// The line that Write writes, without its end.
[[nodiscard]] std::string JsonLine(LogLevel level, std::string_view message,
                                   std::initializer_list<LogField> fields);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_JSON_LOG_H_
