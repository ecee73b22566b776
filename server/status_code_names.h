// The codes that a caller of this service can see, and their names in metrics and logs.

#ifndef ATTENTION_SERVER_STATUS_CODE_NAMES_H_
#define ATTENTION_SERVER_STATUS_CODE_NAMES_H_

#include <array>
#include <string_view>

#include "absl/status/status.h"

namespace attention::server {

struct NamedCode {
  absl::StatusCode code;
  std::string_view name;
};

inline constexpr std::array kCallerCodes = {
    NamedCode{absl::StatusCode::kOk, "ok"},
    NamedCode{absl::StatusCode::kCancelled, "cancelled"},
    NamedCode{absl::StatusCode::kInvalidArgument, "invalid_argument"},
    NamedCode{absl::StatusCode::kDeadlineExceeded, "deadline_exceeded"},
    NamedCode{absl::StatusCode::kNotFound, "not_found"},
    NamedCode{absl::StatusCode::kAlreadyExists, "already_exists"},
    NamedCode{absl::StatusCode::kResourceExhausted, "resource_exhausted"},
    NamedCode{absl::StatusCode::kUnimplemented, "unimplemented"},
    NamedCode{absl::StatusCode::kUnavailable, "unavailable"},
    NamedCode{absl::StatusCode::kInternal, "internal"},
};

// `code` if callers may see it; kInternal otherwise.
[[nodiscard]] constexpr absl::StatusCode CodeForCaller(absl::StatusCode code) {
  for (const NamedCode& known : kCallerCodes) {
    if (known.code == code) return code;
  }
  return absl::StatusCode::kInternal;
}

[[nodiscard]] constexpr std::string_view CodeName(absl::StatusCode code) {
  for (const NamedCode& known : kCallerCodes) {
    if (known.code == CodeForCaller(code)) return known.name;
  }
  return "internal";
}

}  // namespace attention::server

#endif  // ATTENTION_SERVER_STATUS_CODE_NAMES_H_
