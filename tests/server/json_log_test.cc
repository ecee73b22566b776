#include "server/json_log.h"

#include <nlohmann/json.hpp>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace attention::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(JsonLineTest, HoldsTimeLevelMessageAndFields) {
  const std::string text = JsonLine(LogLevel::kWarning, "hello",
                                    {{"name", "value"}, {"count", int64_t{3}}, {"seconds", 0.5}});
  const auto line = nlohmann::json::parse(text);
  EXPECT_THAT(line["time"].get<std::string>(),
              testing::MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z"));
  EXPECT_EQ(line["level"], "warning");
  EXPECT_EQ(line["message"], "hello");
  EXPECT_EQ(line["name"], "value");
  EXPECT_EQ(line["count"], 3);
  EXPECT_EQ(line["seconds"], 0.5);
}

TEST(JsonLineTest, EscapesWhatWouldForgeALine) {
  const std::string hostile = "a\"}\n{\"level\":\"error\"\x1b[31m\r\\";
  const std::string text = JsonLine(LogLevel::kInfo, "m", {{"detail", hostile}});
  EXPECT_THAT(text, Not(HasSubstr("\n")));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_EQ(nlohmann::json::parse(text)["detail"], hostile);
}

TEST(JsonLineTest, ReplacesInvalidUtf8) {
  const std::string text = JsonLine(LogLevel::kInfo, "m", {{"detail", "\xff\xfe ok"}});
  EXPECT_EQ(nlohmann::json::parse(text)["detail"], "\xef\xbf\xbd\xef\xbf\xbd ok");
}

TEST(JsonLineTest, CutsLongTexts) {
  const std::string text =
      JsonLine(LogLevel::kInfo, "m", {{"detail", std::string(1'000'000, 'x')}});
  EXPECT_LT(text.size(), JsonLog::kMaxTextBytes + 200);
}

TEST(JsonLineTest, LeavesEmptyTextsOut) {
  EXPECT_THAT(JsonLine(LogLevel::kInfo, "m", {{"traceparent", ""}}), Not(HasSubstr("traceparent")));
}

TEST(JsonLogTest, WritesLinesOfItsLevelAndAboveToStandardError) {
  JsonLog log(LogLevel::kInfo);
  EXPECT_FALSE(log.Writes(LogLevel::kDebug));
  EXPECT_TRUE(log.Writes(LogLevel::kError));
  testing::internal::CaptureStderr();
  log.Write(LogLevel::kDebug, "quiet");
  log.Write(LogLevel::kInfo, "loud");
  log.InternalError("id", "what happened");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, Not(HasSubstr("quiet")));
  EXPECT_THAT(text, HasSubstr("\"message\":\"loud\"}\n"));
  EXPECT_THAT(text, HasSubstr("\"request_id\":\"id\",\"detail\":\"what happened\"}\n"));
}

TEST(ParseLogLevelTest, IsTheInverseOfName) {
  for (const LogLevel level :
       {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarning, LogLevel::kError}) {
    EXPECT_EQ(ParseLogLevel(Name(level)), level);
  }
  EXPECT_EQ(ParseLogLevel("loud"), std::nullopt);
  EXPECT_EQ(ParseLogLevel(""), std::nullopt);
}

}  // namespace
}  // namespace attention::server
