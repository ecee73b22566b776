#include "server/codec/head_counts.h"

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {

absl::StatusOr<HeadCounts> ResolveHeadCounts(int32_t head_count, int32_t key_value_head_count) {
  ATTENTION_RETURN_IF_ERROR(CheckRange("head_count", head_count, 0, kMaxHeads));
  ATTENTION_RETURN_IF_ERROR(CheckRange("key_value_head_count", key_value_head_count, 0, kMaxHeads));
  HeadCounts counts;
  counts.query = head_count == 0 ? 1 : head_count;
  counts.key_value = key_value_head_count == 0 ? counts.query : key_value_head_count;
  counts.key_value_path = key_value_head_count == 0 ? "head_count" : "key_value_head_count";
  if (counts.query % counts.key_value != 0) {
    return FieldError("key_value_head_count", counts.key_value,
                      absl::StrCat("a divisor of head_count ", counts.query));
  }
  return counts;
}

absl::Status CheckStatedCount(absl::string_view path, int32_t stated, int64_t actual) {
  if (stated == 0 || stated == actual) return absl::OkStatus();
  return FieldError(path, stated, absl::StrCat("0 or ", actual, " as in the shapes"));
}

absl::StatusOr<int64_t> SplitWidth(int64_t packed_width, absl::string_view width_path,
                                   int64_t head_count, absl::string_view head_count_path) {
  if (packed_width % head_count != 0) {
    return FieldError(width_path, packed_width,
                      absl::StrCat("a multiple of ", head_count_path, " ", head_count));
  }
  const int64_t head_width = packed_width / head_count;
  if (head_width > kMaxHeadWidth) {
    return FieldError(width_path, absl::StrCat(head_width, " per head"),
                      absl::StrCat("<= ", kMaxHeadWidth));
  }
  return head_width;
}

}  // namespace attention::server
