#include "server/codec/stream_codec.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

constexpr absl::string_view kFirst = "the stream's first request";

// That rows can be appended to those that the stream has.
absl::Status CheckLikeFirst(const Operand& added, const kernels::TensorView& held) {
  if (added.view.type != held.type) {
    return FieldError(absl::StrCat(added.path, ".data_type"), TypeName(added.tensor.type),
                      absl::StrCat("the type of ", kFirst));
  }
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(added.path, 0), added.batch(), held.extents[0], kFirst));
  ATTENTION_RETURN_IF_ERROR(CheckSame(added.heads_path, added.heads(), held.extents[1], kFirst));
  return CheckSame(added.width_path, added.head_width(), held.extents[3], kFirst);
}

}  // namespace

absl::Status CheckStreamed(const v1::ScaledDotProductAttentionRequest& request) {
  if (request.has_query_starts()) {
    return FieldError("query_starts", "a tensor", "nothing in DecodeAttention");
  }
  if (request.has_key_starts()) {
    return FieldError("key_starts", "a tensor", "nothing in DecodeAttention");
  }
  if (request.return_present()) {
    return FieldError("return_present", "true", "false in DecodeAttention, which keeps them");
  }
  return absl::OkStatus();
}

absl::Status DecodeStreamed(const v1::ScaledDotProductAttentionRequest& request, const Operand& key,
                            const Operand& value, TensorReader& reader, StreamDecoding& stream,
                            AttentionTask& task) {
  const KeyValueCache& cache = stream.cache;
  ATTENTION_ASSIGN_OR_RETURN(const std::optional<KeyValueRows> past,
                             ReadPastRows(request, key, value, reader));
  if (past.has_value() && cache.has_begun()) {
    return FieldError("past_key", "a tensor", absl::StrCat("nothing after ", kFirst));
  }
  if (cache.has_begun()) {
    ATTENTION_RETURN_IF_ERROR(CheckLikeFirst(key, cache.key()));
    ATTENTION_RETURN_IF_ERROR(CheckLikeFirst(value, cache.value()));
  }
  int64_t row_count = cache.key().extents[2] + key.rows();
  if (past.has_value()) {
    row_count += past->key.extents[2];
    stream.added.push_back(*past);
  }
  if (row_count > kMaxSequence) {
    return FieldError(key.rows_path, key.rows(),
                      absl::StrCat("<= ", kMaxSequence, " together with those before"));
  }
  stream.added.push_back({key.view, value.view});
  task.key.Describe(key.view, row_count);
  task.value.Describe(value.view, row_count);
  return absl::OkStatus();
}

}  // namespace attention::server
