#include "server/codec/ready_decoder.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/head_counts.h"
#include "server/codec/operand_checks.h"
#include "server/codec/options_codec.h"
#include "server/codec/protocol_limits.h"
#include "server/codec/status_macros.h"

namespace attention::server {
namespace {

// One operand, as [batch, heads, rows, head width] whatever its layout.
struct Operand {
  absl::string_view path;
  WireTensor tensor;
  bool has_batch = false;
  kernels::TensorView view;
  std::string heads_path;  // the fields that decide
  std::string rows_path;
  std::string width_path;

  [[nodiscard]] int64_t batch() const { return view.extents[0]; }
  [[nodiscard]] int64_t heads() const { return view.extents[1]; }
  [[nodiscard]] int64_t rows() const { return view.extents[2]; }
  [[nodiscard]] int64_t head_width() const { return view.extents[3]; }
};

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
  operand.view.strides = {rows * packed_width, head_width, packed_width, 1};
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

struct OperandField {
  bool present = false;
  const v1::Tensor& tensor;
  absl::string_view path;
  int64_t head_count = 0;  // for LAYOUT_PACKED
  absl::string_view head_count_path;
};

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

// Outside LAYOUT_PACKED the shapes say how many heads there are; the fields may repeat it.
absl::Status CheckStated(absl::string_view path, int32_t stated, int64_t actual) {
  if (stated == 0 || stated == actual) return absl::OkStatus();
  return FieldError(path, stated, absl::StrCat("0 or ", actual, " as in the shapes"));
}

ResponseForm FormOf(const Operand& query, const Operand& key, const Operand& value,
                    v1::Layout layout) {
  const int64_t rows = query.rows();
  const int64_t width = value.head_width();
  ResponseForm form;
  if (layout == v1::LAYOUT_PACKED) {
    form.output_shape = {rows, query.heads() * width};
  } else if (layout == v1::LAYOUT_SEQUENCE_FIRST) {
    form.output_shape = {rows, query.heads(), width};
  } else {
    form.output_shape = {query.heads(), rows, width};
  }
  form.matrix_shape = {query.heads(), rows, key.rows()};
  if (query.has_batch) {
    form.output_shape.insert(form.output_shape.begin(), query.batch());
    form.matrix_shape.insert(form.matrix_shape.begin(), query.batch());
  }
  return form;
}

}  // namespace

absl::Status DecodeReadyRequest(const v1::ScaledDotProductAttentionRequest& request,
                                TensorReader& reader, DecodedRequest& decoded) {
  const v1::Layout layout = request.layout();
  if (!v1::Layout_IsValid(layout)) {
    return FieldError("layout", static_cast<int>(layout),
                      absl::StrCat("0 to ", static_cast<int>(v1::Layout_MAX)));
  }
  const bool packed = layout == v1::LAYOUT_PACKED;
  HeadCounts counts;
  if (packed) {
    if (request.head_count() == 0) return FieldError("head_count", 0, "> 0 with LAYOUT_PACKED");
    ATTENTION_ASSIGN_OR_RETURN(
        counts, ResolveHeadCounts(request.head_count(), request.key_value_head_count()));
  }
  ATTENTION_ASSIGN_OR_RETURN(const Operand query, ReadOperand({request.has_query(), request.query(),
                                                               "query", counts.query, "head_count"},
                                                              layout, reader));
  ATTENTION_ASSIGN_OR_RETURN(const Operand key,
                             ReadOperand({request.has_key(), request.key(), "key", counts.key_value,
                                          counts.key_value_path},
                                         layout, reader));
  ATTENTION_ASSIGN_OR_RETURN(const Operand value,
                             ReadOperand({request.has_value(), request.value(), "value",
                                          counts.key_value, counts.key_value_path},
                                         layout, reader));
  ATTENTION_RETURN_IF_ERROR(CheckTogether(query, key, value));
  if (!packed) {
    ATTENTION_RETURN_IF_ERROR(CheckStated("head_count", request.head_count(), query.heads()));
    ATTENTION_RETURN_IF_ERROR(
        CheckStated("key_value_head_count", request.key_value_head_count(), key.heads()));
  }
  ATTENTION_RETURN_IF_ERROR(CheckHeadWidths({query.head_width(), query.width_path},
                                            {key.head_width(), key.width_path}, request.options()));

  AttentionTask& task = decoded.task;
  task.type = query.view.type;
  task.query.view = query.view;
  task.key.view = key.view;
  task.value.view = value.view;
  const bool heads_first = layout == v1::LAYOUT_UNSPECIFIED || layout == v1::LAYOUT_HEADS_FIRST;
  task.output_layout = heads_first ? OutputLayout::kHeadsFirst : OutputLayout::kSequenceFirst;
  ATTENTION_RETURN_IF_ERROR(DecodeOptions(request.options(), reader, task));
  decoded.response_form = FormOf(query, key, value, layout);
  decoded.response_form.floats = reader.floats_only();
  return absl::OkStatus();
}

}  // namespace attention::server
