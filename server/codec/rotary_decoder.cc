#include "server/codec/rotary_decoder.h"

#include <span>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/codec/batch_integers.h"
#include "server/codec/field_error.h"
#include "server/codec/head_counts.h"
#include "server/codec/operand_checks.h"
#include "server/codec/ready_operand.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

using Request = v1::ApplyRotaryEmbeddingRequest;

// [batch, heads, sequence, width], or [batch, sequence, heads * width].
absl::StatusOr<Operand> ReadInput(const Request& request, TensorReader& reader) {
  constexpr int kUnpackedRank = 4;
  constexpr int kPackedRank = 3;
  if (!request.has_input()) return MissingField("input");
  const int rank = request.input().shape_size();
  if (rank != kPackedRank && rank != kUnpackedRank) {
    return FieldError("input.shape", absl::StrCat("rank ", rank), "3 or 4");
  }
  ATTENTION_RETURN_IF_ERROR(CheckRange("head_count", request.head_count(), 0, kMaxHeads));
  if (rank == kPackedRank && request.head_count() == 0) {
    return FieldError("head_count", 0, "> 0 with an input of rank 3");
  }
  const OperandField field = {true, request.input(), "input", request.head_count(), "head_count"};
  const v1::Layout layout = rank == kPackedRank ? v1::LAYOUT_PACKED : v1::LAYOUT_HEADS_FIRST;
  ATTENTION_ASSIGN_OR_RETURN(Operand input, ReadOperand(field, layout, reader));
  ATTENTION_RETURN_IF_ERROR(CheckStatedCount("head_count", request.head_count(), input.heads()));
  return input;
}

// How many numbers of a row turn.
absl::StatusOr<int64_t> ReadWidth(const Request& request, const Operand& input) {
  const int64_t head_width = input.head_width();
  if (request.rotary_width() == 0) {
    if (head_width % 2 == 0) return head_width;
    return FieldError(input.width_path, absl::StrCat(head_width, " per head"),
                      "an even width with rotary_width 0");
  }
  ATTENTION_RETURN_IF_ERROR(CheckRange("rotary_width", request.rotary_width(), 0, head_width));
  if (request.rotary_width() % 2 == 0) return request.rotary_width();
  return FieldError("rotary_width", request.rotary_width(), "an even number");
}

struct TableField {
  bool present;
  const v1::Tensor& tensor;
  absl::string_view path;
};

// [positions, pairs] where the request has position_ids, otherwise [batch, sequence, pairs].
absl::StatusOr<kernels::TensorView> ReadTable(const TableField& field, bool by_position,
                                              const Operand& input, int64_t pair_count,
                                              TensorReader& reader) {
  if (!field.present) return MissingField(field.path);
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor table, reader.Read(field.tensor, field.path));
  ATTENTION_RETURN_IF_ERROR(CheckSameType(table, field.path, input.tensor.type, "input"));
  const int rank = by_position ? 2 : 3;
  if (table.rank != rank) {
    return FieldError(absl::StrCat(field.path, ".shape"), absl::StrCat("rank ", table.rank),
                      absl::StrCat(rank, by_position ? " with" : " without", " position_ids"));
  }
  const int64_t rows = table.shape[static_cast<size_t>(rank - 2)];
  if (by_position) {
    ATTENTION_RETURN_IF_ERROR(CheckRange(ShapePath(field.path, 0), rows, 0, kMaxSequence));
  } else {
    ATTENTION_RETURN_IF_ERROR(CheckExtent(table, field.path, 0, input.batch(), "input"));
    ATTENTION_RETURN_IF_ERROR(CheckSame(ShapePath(field.path, 1), rows, input.rows(), "input"));
  }
  ATTENTION_RETURN_IF_ERROR(
      CheckExtent(table, field.path, rank - 1, pair_count, "half of the rotary width"));
  return kernels::DenseView(table.data, input.view.type,
                            {by_position ? 1 : input.batch(), 1, rows, pair_count});
}

absl::StatusOr<const int64_t*> ReadPositions(const v1::Tensor& tensor, int64_t position_count,
                                             const Operand& input, TensorReader& reader) {
  constexpr absl::string_view kPath = "position_ids";
  ATTENTION_ASSIGN_OR_RETURN(const WireTensor ids, reader.Read(tensor, kPath));
  ATTENTION_RETURN_IF_ERROR(CheckIntegerType(ids, kPath));
  ATTENTION_RETURN_IF_ERROR(CheckRank(ids, kPath, 2));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(ids, kPath, 0, input.batch(), "input"));
  ATTENTION_RETURN_IF_ERROR(CheckExtent(ids, kPath, 1, input.rows(), "input"));
  static constexpr int64_t kNoPosition = 0;  // not null: that there are positions has a meaning
  if (ids.element_count == 0) return &kNoPosition;
  const std::span<int64_t> positions = reader.NewNumbers<int64_t>(ids.element_count);
  for (int64_t i = 0; i < ids.element_count; ++i) {
    const int64_t position = IntegerAt(ids, i);
    if (position < 0 || position >= position_count) {
      return ElementError(kPath, i,
                          absl::StrCat(">= 0 and < ", ShapePath("cos", 0), " ", position_count));
    }
    positions[static_cast<size_t>(i)] = position;
  }
  return positions.data();
}

}  // namespace

absl::Status DecodeRotaryRequest(const Request& request, TensorReader& reader,
                                 DecodedRotaryEmbedding& decoded) {
  ATTENTION_ASSIGN_OR_RETURN(const Operand input, ReadInput(request, reader));
  ATTENTION_ASSIGN_OR_RETURN(const int64_t width, ReadWidth(request, input));
  kernels::RotaryTables& tables = decoded.task.tables;
  const bool by_position = request.has_position_ids();
  ATTENTION_ASSIGN_OR_RETURN(tables.cosines, ReadTable({request.has_cos(), request.cos(), "cos"},
                                                       by_position, input, width / 2, reader));
  ATTENTION_ASSIGN_OR_RETURN(tables.sines, ReadTable({request.has_sin(), request.sin(), "sin"},
                                                     by_position, input, width / 2, reader));
  if (by_position) {
    const int64_t position_count = tables.cosines.extents[2];
    ATTENTION_RETURN_IF_ERROR(
        CheckSame(ShapePath("sin", 0), tables.sines.extents[2], position_count, "cos"));
    ATTENTION_ASSIGN_OR_RETURN(
        tables.row_positions, ReadPositions(request.position_ids(), position_count, input, reader));
  }
  tables.width = width;
  tables.interleaved = request.interleaved();
  decoded.task.input = input.view;
  decoded.response_form.output_shape.assign(input.tensor.shape.begin(),
                                            input.tensor.shape.begin() + input.tensor.rank);
  decoded.task.sends_floats = reader.floats_only();
  return absl::OkStatus();
}

}  // namespace attention::server
