// How many heads there are, and how wide each is.

#ifndef ATTENTION_SERVER_CODEC_HEAD_COUNTS_H_
#define ATTENTION_SERVER_CODEC_HEAD_COUNTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attention::server {

struct HeadCounts {
  int64_t query = 1;
  int64_t key_value = 1;
  absl::string_view key_value_path;  // the request's field that decided key_value
};

// Reads the fields head_count (0 means 1) and key_value_head_count (0 means head_count, which it
// must divide). Errors: kInvalidArgument.
[[nodiscard]] absl::StatusOr<HeadCounts> ResolveHeadCounts(int32_t head_count,
                                                           int32_t key_value_head_count);

// Where the shapes say how many heads there are, the field may repeat it: 0 or `actual`.
[[nodiscard]] absl::Status CheckStatedCount(absl::string_view path, int32_t stated, int64_t actual);

// The width of one of `head_count` heads that lie side by side in `packed_width`. kInvalidArgument
// if they do not divide it or are too wide.
[[nodiscard]] absl::StatusOr<int64_t> SplitWidth(int64_t packed_width, absl::string_view width_path,
                                                 int64_t head_count,
                                                 absl::string_view head_count_path);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_HEAD_COUNTS_H_
