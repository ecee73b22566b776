#include "server/json_log.h"

#include <spdlog/logger.h>

#include <array>
#include <chrono>
#include <exception>
#include <memory>
#include <nlohmann/json.hpp>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/stderr_sink.h"

namespace attention::server {
namespace {

constexpr std::array<std::string_view, 4> kLevelNames = {"debug", "info", "warning", "error"};

spdlog::logger& StandardError() {
  static spdlog::logger* const logger = [] {
    auto sink = std::make_shared<StderrSink>([](int64_t lines) {
      return JsonLine(LogLevel::kWarning, "log lines lost", {{"lines", lines}});
    });
    auto* made = new spdlog::logger("attention", std::move(sink));
    made->set_pattern("%v");
    made->set_level(spdlog::level::trace);  // JsonLog has already chosen
    return made;
  }();
  return *logger;
}

std::string Capped(std::string_view text) {
  if (text.size() <= JsonLog::kMaxTextBytes) return std::string(text);
  return std::string(text.substr(0, JsonLog::kMaxTextBytes)) + "...";
}

}  // namespace

std::optional<LogLevel> ParseLogLevel(std::string_view name) {
  for (size_t i = 0; i < kLevelNames.size(); ++i) {
    if (kLevelNames[i] == name) return static_cast<LogLevel>(i);
  }
  return std::nullopt;
}

std::string_view Name(LogLevel level) { return kLevelNames[static_cast<size_t>(level)]; }

std::string JsonLine(LogLevel level, std::string_view message,
                     std::initializer_list<LogField> fields) {
  nlohmann::ordered_json line;
  line["time"] = absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  line["level"] = Name(level);
  line["message"] = Capped(message);
  for (const LogField& field : fields) {
    const auto* text = std::get_if<std::string_view>(&field.value);
    if (text != nullptr && text->empty()) continue;
    nlohmann::ordered_json& value = line[std::string(field.name)];
    if (text != nullptr) {
      value = Capped(*text);
    } else if (const auto* integer = std::get_if<int64_t>(&field.value)) {
      value = *integer;
    } else {
      value = std::get<double>(field.value);
    }
  }
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

void JsonLog::Write(LogLevel level, std::string_view message,
                    std::initializer_list<LogField> fields) noexcept {
  if (!Writes(level)) return;
  try {
    StandardError().info(JsonLine(level, message, fields));
  } catch (const std::exception&) {
    // Out of memory, or standard error is gone: nowhere to say so.
  }
}

void JsonLog::InternalError(std::string_view request_id, std::string_view detail) {
  Write(LogLevel::kError, "internal error", {{"request_id", request_id}, {"detail", detail}});
}

}  // namespace attention::server
