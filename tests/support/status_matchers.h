// GoogleMock matchers for absl::Status and absl::StatusOr; Debian's Abseil does not package its
// own.

#ifndef ATTENTION_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define ATTENTION_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gmock/gmock.h"

namespace attention::test {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "") {
  *result_listener << StatusOf(arg).ToString();
  return arg.ok();
}

MATCHER_P(HasCode, code, "has code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}

// `message` is a matcher of strings.
MATCHER_P2(StatusIs, code, message,
           "has code " + absl::StatusCodeToString(code) + " and a message that fits") {
  const absl::Status& status = StatusOf(arg);
  *result_listener << status.ToString() << " ";
  const std::string text(status.message().data(), status.message().size());
  return status.code() == code && testing::ExplainMatchResult(message, text, result_listener);
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SUPPORT_STATUS_MATCHERS_H_
