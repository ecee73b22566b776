#include "server/codec/ragged_codec.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/codec/batch_integers.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

constexpr absl::string_view kQueryPath = "query_starts";
constexpr absl::string_view kKeyPath = "key_starts";

struct StartsField {
  bool present = false;
  const v1::Tensor& tensor;
  absl::string_view path;
};

// That they ascend from 0 to the number of rows. Elements are not repeated.
absl::Status CheckStarts(const std::vector<int64_t>& starts, absl::string_view path,
                         const Operand& rows) {
  if (starts.front() != 0) return ElementError(path, 0, "0");
  for (size_t i = 1; i < starts.size(); ++i) {
    if (starts[i] < starts[i - 1]) return ElementError(path, i, "none before the one before it");
  }
  if (starts.back() == rows.rows()) return absl::OkStatus();
  return ElementError(path, starts.size() - 1,
                      absl::StrCat(rows.rows(), " as in ", rows.rows_path));
}

absl::StatusOr<std::vector<int64_t>> ReadStarts(const StartsField& field, const Operand& rows,
                                                TensorReader& reader) {
  if (!field.present) {
    return FieldError(field.path, "nothing", "both query_starts and key_starts, or neither");
  }
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor tensor, reader.Read(field.tensor, field.path));
  ATTENTION_RETURN_IF_ERROR(CheckIntegerType(tensor, field.path));
  ATTENTION_RETURN_IF_ERROR(CheckRank(tensor, field.path, 1));
  const std::string count_path = ShapePath(field.path, 0);
  if (tensor.shape[0] < 2) return FieldError(count_path, tensor.shape[0], ">= 2");
  ATTENTION_RETURN_IF_ERROR(CheckRange(count_path, tensor.shape[0], 1, kMaxBatch + 1));
  std::vector<int64_t> starts(static_cast<size_t>(tensor.element_count));
  for (size_t i = 0; i < starts.size(); ++i) starts[i] = IntegerAt(tensor, static_cast<int64_t>(i));
  ATTENTION_RETURN_IF_ERROR(CheckStarts(starts, field.path, rows));
  return starts;
}

bool IsRagged(const v1::ScaledDotProductAttentionRequest& request) {
  return request.has_query_starts() || request.has_key_starts();
}

absl::Status CheckNoBatch(const Operand& query) {
  if (!query.has_batch) return absl::OkStatus();
  return FieldError(absl::StrCat(query.path, ".shape"), absl::StrCat("rank ", query.tensor.rank),
                    absl::StrCat(query.tensor.rank - 1, " with query_starts"));
}

absl::Status CheckOffered(const v1::ScaledDotProductAttentionRequest& request) {
  const v1::AttentionOptions& options = request.options();
  const struct {
    absl::string_view path;
    bool used;
  } fields[] = {{"past_key", request.has_past_key()},
                {"past_value", request.has_past_value()},
                {"return_present", request.return_present()},
                {"options.boolean_mask", options.has_boolean_mask()},
                {"options.additive_mask", options.has_additive_mask()},
                {"options.multiplicative_mask", options.has_multiplicative_mask()},
                {"options.block_mask", options.has_block_mask()},
                {"options.query_segments", options.has_query_segments()},
                {"options.key_segments", options.has_key_segments()},
                {"options.return_weights", options.return_weights()},
                {"options.return_scores", options.return_scores() != v1::SCORES_KIND_UNSPECIFIED}};
  for (const auto& field : fields) {
    if (field.used) return NotOffered(field.path, kQueryPath);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckRaggedLayout(const v1::ScaledDotProductAttentionRequest& request) {
  const v1::Layout layout = request.layout();
  if (!IsRagged(request) || layout == v1::LAYOUT_SEQUENCE_FIRST || layout == v1::LAYOUT_PACKED) {
    return absl::OkStatus();
  }
  return FieldError("layout", v1::Layout_Name(layout),
                    "LAYOUT_SEQUENCE_FIRST or LAYOUT_PACKED with query_starts");
}

absl::Status DecodeRagged(const v1::ScaledDotProductAttentionRequest& request, const Operand& query,
                          const Operand& key, TensorReader& reader, AttentionTask& task) {
  if (!IsRagged(request)) return absl::OkStatus();
  RaggedRows rows;
  ATTENTION_ASSIGN_OR_RETURN(
      rows.query_starts,
      ReadStarts({request.has_query_starts(), request.query_starts(), kQueryPath}, query, reader));
  ATTENTION_ASSIGN_OR_RETURN(
      rows.key_starts,
      ReadStarts({request.has_key_starts(), request.key_starts(), kKeyPath}, key, reader));
  ATTENTION_RETURN_IF_ERROR(CheckSame(ShapePath(kKeyPath, 0),
                                      static_cast<int64_t>(rows.key_starts.size()),
                                      static_cast<int64_t>(rows.query_starts.size()), kQueryPath));
  ATTENTION_RETURN_IF_ERROR(CheckNoBatch(query));
  ATTENTION_RETURN_IF_ERROR(CheckOffered(request));
  task.ragged = std::move(rows);
  return absl::OkStatus();
}

}  // namespace attention::server
