#include "server/codec/past_codec.h"

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/operand_checks.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// Reads past rows that fit before those of `added`, whatever the layout of these.
absl::StatusOr<Operand> ReadPast(const OperandField& field, const Operand& added,
                                 TensorReader& reader) {
  if (!field.present) {
    return FieldError(field.path, "nothing", "both past_key and past_value, or neither");
  }
  ATTENTION_ASSIGN_OR_RETURN(Operand past, ReadOperand(field, v1::LAYOUT_HEADS_FIRST, reader));
  ATTENTION_RETURN_IF_ERROR(CheckSameType(past.tensor, past.path, added.tensor.type, added.path));
  ATTENTION_RETURN_IF_ERROR(CheckRank(past.tensor, past.path, added.has_batch ? 4 : 3));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(ShapePath(past.path, 0), past.batch(), added.batch(), added.path));
  ATTENTION_RETURN_IF_ERROR(CheckSame(past.heads_path, past.heads(), added.heads(), added.path));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(past.width_path, past.head_width(), added.head_width(), added.path));
  if (past.rows() + added.rows() > kMaxSequence) {
    return FieldError(past.rows_path, past.rows(),
                      absl::StrCat("<= ", kMaxSequence, " together with the ", added.rows(),
                                   " rows of ", added.path));
  }
  return past;
}

void Join(const kernels::TensorView& past, const kernels::TensorView& added, HeadsSource& source) {
  source.joined = JoinedRows{past, added};
  source.Describe(added, past.extents[2] + added.extents[2]);
}

kernels::TensorView NoRows(kernels::TensorView view) {
  view.extents[2] = 0;
  return view;
}

}  // namespace

absl::StatusOr<std::optional<KeyValueRows>> ReadPastRows(
    const v1::ScaledDotProductAttentionRequest& request, const Operand& key, const Operand& value,
    TensorReader& reader) {
  if (!request.has_past_key() && !request.has_past_value()) return std::nullopt;
  ATTENTION_ASSIGN_OR_RETURN(
      const Operand past_key,
      ReadPast({request.has_past_key(), request.past_key(), "past_key", 0, ""}, key, reader));
  ATTENTION_ASSIGN_OR_RETURN(
      const Operand past_value,
      ReadPast({request.has_past_value(), request.past_value(), "past_value", 0, ""}, value,
               reader));
  ATTENTION_RETURN_IF_ERROR(
      CheckSame(past_value.rows_path, past_value.rows(), past_key.rows(), past_key.path));
  return KeyValueRows{past_key.view, past_value.view};
}

absl::Status DecodePast(const v1::ScaledDotProductAttentionRequest& request, const Operand& key,
                        const Operand& value, TensorReader& reader, AttentionTask& task) {
  task.key.view = key.view;
  task.value.view = value.view;
  task.return_present = request.return_present();
  ATTENTION_ASSIGN_OR_RETURN(const std::optional<KeyValueRows> given,
                             ReadPastRows(request, key, value, reader));
  const KeyValueRows past = given.value_or(KeyValueRows{NoRows(key.view), NoRows(value.view)});
  if (past.key.extents[2] == 0 && !task.return_present) return absl::OkStatus();
  Join(past.key, key.view, task.key);
  Join(past.value, value.view, task.value);
  return absl::OkStatus();
}

}  // namespace attention::server
