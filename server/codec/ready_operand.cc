#include "server/codec/ready_operand.h"

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/head_counts.h"
#include "server/codec/operand_checks.h"
#include "server/core/packed_strides.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

// Splits [batch?, rows, heads * width].
absl::Status ReadPacked(int64_t head_count, absl::string_view head_count_path, Operand& operand) {
  const int first_axis = operand.tensor.rank - 2;
  const int64_t rows = operand.tensor.shape[first_axis];
  const int64_t packed_width = operand.tensor.shape[first_axis + 1];
  operand.heads_path = std::string(head_count_path);
  operand.rows_path = ShapePath(operand.path, first_axis);
  operand.width_path = ShapePath(operand.path, first_axis + 1);
  ATTENTION_RETURN_IF_ERROR(CheckRange(operand.width_path, packed_width, 1, kMaxWidth));
  ATTENTION_ASSIGN_OR_RETURN(const int64_t head_width, SplitWidth(packed_width, operand.width_path,
                                                                  head_count, head_count_path));
  operand.view.extents = {operand.batch(), head_count, rows, head_width};
  operand.view.strides = PackedStrides(operand.view.extents);
  return absl::OkStatus();
}

// [batch?, heads, rows, width] or [batch?, rows, heads, width].
absl::Status ReadUnpacked(v1::Layout layout, Operand& operand) {
  const int first_axis = operand.tensor.rank - 3;
  const bool heads_first = layout != v1::LAYOUT_SEQUENCE_FIRST;
  const int heads_axis = heads_first ? first_axis : first_axis + 1;
  const int rows_axis = heads_first ? first_axis + 1 : first_axis;
  const int64_t heads = operand.tensor.shape[heads_axis];
  const int64_t rows = operand.tensor.shape[rows_axis];
  const int64_t width = operand.tensor.shape[first_axis + 2];
  operand.heads_path = ShapePath(operand.path, heads_axis);
  operand.rows_path = ShapePath(operand.path, rows_axis);
  operand.width_path = ShapePath(operand.path, first_axis + 2);
  ATTENTION_RETURN_IF_ERROR(CheckRange(operand.heads_path, heads, 1, kMaxHeads));
  ATTENTION_RETURN_IF_ERROR(CheckRange(operand.width_path, width, 1, kMaxHeadWidth));
  operand.view.extents = {operand.batch(), heads, rows, width};
  operand.view.strides = {heads * rows * width, heads_first ? rows * width : width,
                          heads_first ? width : heads * width, 1};
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Operand> ReadOperand(const OperandField& field, v1::Layout layout,
                                    TensorReader& reader) {
  if (!field.present) return MissingField(field.path);
  const bool packed = layout == v1::LAYOUT_PACKED;
  const int minimum_rank = packed ? 2 : 3;
  Operand operand;
  operand.path = field.path;
  ATTENTION_ASSIGN_OR_RETURN(operand.tensor, reader.Read(field.tensor, field.path));
  ATTENTION_RETURN_IF_ERROR(CheckOperand(operand.tensor, field.path, minimum_rank));
  operand.has_batch = operand.tensor.rank > minimum_rank;
  operand.view.data = operand.tensor.data;
  operand.view.type = *KernelType(operand.tensor.type);
  operand.view.extents[0] = operand.has_batch ? operand.tensor.shape[0] : 1;
  ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(field.path, 0), operand.batch(), 0, kMaxBatch));
  ATTENTION_RETURN_IF_ERROR(packed ? ReadPacked(field.head_count, field.head_count_path, operand)
                                   : ReadUnpacked(layout, operand));
  ATTENTION_RETURN_IF_ERROR(CheckRange(operand.rows_path, operand.rows(), 0, kMaxSequence));
  return operand;
}

absl::Status CheckTogether(const Operand& query, const Operand& key, const Operand& value) {
  const OperandShape query_shape = {query.path, query.tensor, query.batch()};
  ATTENTION_RETURN_IF_ERROR(CheckLikeQuery({key.path, key.tensor, key.batch()}, query_shape));
  ATTENTION_RETURN_IF_ERROR(CheckLikeQuery({value.path, value.tensor, value.batch()}, query_shape));
  if (query.heads() % key.heads() != 0) {
    return FieldError(key.heads_path, key.heads(),
                      absl::StrCat("a divisor of ", query.heads_path, " ", query.heads()));
  }
  ATTENTION_RETURN_IF_ERROR(CheckSame(value.heads_path, value.heads(), key.heads(), key.path));
  return CheckSame(value.rows_path, value.rows(), key.rows(), key.path);
}

}  // namespace attention::server
