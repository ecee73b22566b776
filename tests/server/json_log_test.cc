#include "server/json_log.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
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

// Standard error as a pipe that nobody reads, while it lives.
class StuckStandardError {
 public:
  StuckStandardError() : kept_(dup(STDERR_FILENO)) {
    EXPECT_EQ(pipe(ends_), 0);
    dup2(ends_[1], STDERR_FILENO);
    close(ends_[1]);
  }
  ~StuckStandardError() {
    dup2(kept_, STDERR_FILENO);
    close(kept_);
    close(ends_[0]);
  }

  // What is in it.
  std::string Read() {
    std::string text(size_t{1} << 20, '\0');
    const ssize_t count = read(ends_[0], text.data(), text.size());
    text.resize(static_cast<size_t>(std::max<ssize_t>(count, 0)));
    return text;
  }

 private:
  const int kept_;
  int ends_[2] = {};
};

TEST(JsonLogTest, WaitsForNoReaderAndCountsWhatIsLost) {
  JsonLog log(LogLevel::kInfo);
  StuckStandardError stuck;
  constexpr int kLines = 5000;  // much more than a pipe holds
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kLines; ++i) log.Write(LogLevel::kInfo, std::string(100, 'x'));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  const std::string text = stuck.Read();
  const auto written = std::count(text.begin(), text.end(), '\n');
  EXPECT_GT(written, 100);
  EXPECT_LT(written, kLines);
  log.Write(LogLevel::kInfo, "again");
  std::istringstream lines(stuck.Read());
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto lost = nlohmann::json::parse(line);
  EXPECT_EQ(lost["message"], "log lines lost");
  EXPECT_EQ(lost["lines"], kLines - written);
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_EQ(nlohmann::json::parse(line)["message"], "again");
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
