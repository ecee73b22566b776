// The forms in which values of options are written.

#ifndef ATTENTION_SERVER_OPTION_VALUES_H_
#define ATTENTION_SERVER_OPTION_VALUES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attention::server {

// "1048576", "1024KiB", "1MiB", "2GiB" or "500MB" (10^6): a whole number of bytes >= 0 that fits 63
// bits.
[[nodiscard]] absl::StatusOr<int64_t> ParseByteCount(absl::string_view text);

// The shortest exact form: "256MiB".
[[nodiscard]] std::string ByteCountText(int64_t byte_count);

// A whole number from `minimum` to `maximum`.
[[nodiscard]] absl::StatusOr<int64_t> ParseWholeNumber(absl::string_view text, int64_t minimum,
                                                       int64_t maximum);

// A finite number > 0: "1e13".
[[nodiscard]] absl::StatusOr<double> ParsePositiveNumber(absl::string_view text);

// "true", "on", "yes", "1" and their opposites.
[[nodiscard]] absl::StatusOr<bool> ParseBoolean(absl::string_view text);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_OPTION_VALUES_H_
