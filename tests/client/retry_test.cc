#include "client/retry.h"

#include "gtest/gtest.h"

namespace attention::client {
namespace {

using std::chrono::milliseconds;
using Wait = std::optional<milliseconds>;

constexpr double kMiddle = 0.5;  // no jitter

Wait WaitAfter(absl::StatusCode code, int attempt, std::vector<std::string> pushbacks = {},
               double random = kMiddle) {
  return WaitBeforeRetry({.code = code, .attempt = attempt, .pushbacks = std::move(pushbacks)},
                         RetryOptions(), random);
}

TEST(RetryTest, UnavailableWaitsTwiceAsLongEachTime) {
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 1), milliseconds(100));
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 2), milliseconds(200));
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 3), milliseconds(400));
}

TEST(RetryTest, TheLastAttemptIsFinal) {
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 4), std::nullopt);
  EXPECT_EQ(WaitAfter(absl::StatusCode::kResourceExhausted, 4, {"5"}), std::nullopt);
}

TEST(RetryTest, WaitsAreJitteredAndBounded) {
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 1, {}, 0.0), milliseconds(80));
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 1, {}, 0.999999), milliseconds(120));
  const RetryOptions patient = {.max_attempts = 1000};
  EXPECT_EQ(WaitBeforeRetry({absl::StatusCode::kUnavailable, 999, {}}, patient, kMiddle),
            milliseconds(5000));
}

TEST(RetryTest, ResourceExhaustedIsTriedAgainOnlyWhenTheServerSaysWhen) {
  EXPECT_EQ(WaitAfter(absl::StatusCode::kResourceExhausted, 1), std::nullopt);
  EXPECT_EQ(WaitAfter(absl::StatusCode::kResourceExhausted, 1, {"0"}), milliseconds(0));
  EXPECT_EQ(WaitAfter(absl::StatusCode::kResourceExhausted, 1, {"250"}), milliseconds(250));
}

TEST(RetryTest, AnInvalidPushbackMeansNo) {
  for (const char* text : {"-1", "+1", "", " 5", "5 ", "5ms", "0x5", "1e3", "99999999999"}) {
    EXPECT_EQ(WaitAfter(absl::StatusCode::kResourceExhausted, 1, {text}), std::nullopt)
        << '"' << text << '"';
    EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 1, {text}), std::nullopt)
        << '"' << text << '"';
  }
  EXPECT_EQ(WaitAfter(absl::StatusCode::kResourceExhausted, 1, {"5", "5"}), std::nullopt);
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 1, {"5", "5"}), std::nullopt);
}

TEST(RetryTest, UnavailableObeysTheServersWait) {
  EXPECT_EQ(WaitAfter(absl::StatusCode::kUnavailable, 3, {"7"}), milliseconds(7));
}

TEST(RetryTest, NoOtherErrorIsTriedAgain) {
  for (int code = 0; code <= 16; ++code) {
    const auto status_code = static_cast<absl::StatusCode>(code);
    if (status_code == absl::StatusCode::kUnavailable ||
        status_code == absl::StatusCode::kResourceExhausted)
      continue;
    EXPECT_EQ(WaitAfter(status_code, 1), std::nullopt) << code;
    EXPECT_EQ(WaitAfter(status_code, 1, {"5"}), std::nullopt) << code;
  }
}

}  // namespace
}  // namespace attention::client
