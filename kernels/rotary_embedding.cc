#include "kernels/rotary_embedding.h"

#include <algorithm>
#include <cmath>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "kernels/aligned_array.h"
#include "kernels/convert.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/rotary_rows.h"
#include "kernels/field_checks.h"
#include "kernels/kept.h"
#include "kernels/rotary_angles.h"
#include "kernels/visibility.h"
#include "kernels/within_memory.h"

namespace attention::kernels {
namespace {

// Rows of one head whose cosines and sines (32 KiB at width 128) stay in the first-level cache
// while the heads of an item pass over them.
constexpr int64_t kItemRows = 64;
constexpr int64_t kItemHeads = 32;

// A thread keeps at most this much of tables for its next call, and of angles: those of rows of
// some thousand numbers.
constexpr size_t kKeptBytes = size_t{2} << 20;

constexpr absl::string_view kTables = "the cosines and sines of rotary pairs";

// Rows to turn: their operands, and which numbers of them.
struct Rotation {
  const TensorView& input;
  const MutableTensorView& output;
  int64_t pair_count;
  bool interleaved;
};

// Some rows of one batch entry, and the tables [count, pair_count] to fill for them.
template <class Number>
struct TableRows {
  int64_t batch;
  int64_t first;
  int64_t count;
  Number* cosines;
  Number* sines;
};

void Rotate(const RotatedRows& rows, const float* cosines, const float* sines) {
  RotateRows(rows, cosines, sines);
}
void Rotate(const RotatedRows& rows, const double* cosines, const double* sines) {
  RotateF64Rows(rows, cosines, sines);
}

template <class Number>
void RotateHeads(const Rotation& rotation, const TableRows<Number>& table, int64_t first_head,
                 int64_t end_head) {
  const auto element_bytes = static_cast<int64_t>(ElementBytes(rotation.input.type));
  for (int64_t head = first_head; head < end_head; ++head) {
    Rotate({.type = rotation.input.type,
            .input = RowAddress(rotation.input, table.batch, head, table.first),
            .input_stride_bytes = rotation.input.strides[2] * element_bytes,
            .output = RowAddress(rotation.output, table.batch, head, table.first),
            .output_stride_bytes = rotation.output.strides[2] * element_bytes,
            .row_count = table.count,
            .width = rotation.input.extents[3],
            .pair_count = rotation.pair_count,
            .interleaved = rotation.interleaved},
           table.cosines, table.sines);
  }
}

// `fill` fills a TableRows<Number>.
template <class Number, class Fill>
absl::StatusOr<int> RotateAll(const Rotation& rotation, const Execution& execution, Fill fill) {
  const auto [batch_count, head_count, row_count, width] = rotation.input.extents;
  const int64_t row_blocks = DivideUp(row_count, kItemRows);
  const int64_t head_blocks = DivideUp(head_count, kItemHeads);
  const auto rotate_item = [&](int64_t item) {
    thread_local AlignedArray<Number> tables;
    const absl::Cleanup release = [] { tables.ReleaseAbove(kKeptBytes); };
    const int64_t first = item / head_blocks % row_blocks * kItemRows;
    const int64_t first_head = item % head_blocks * kItemHeads;
    const int64_t count = std::min(kItemRows, row_count - first);
    const auto elements = static_cast<size_t>(count * rotation.pair_count);
    TableRows<Number> table = {.batch = item / head_blocks / row_blocks,
                               .first = first,
                               .count = count,
                               .cosines = nullptr,
                               .sines = nullptr};
    tables.Reserve(2 * elements);
    table.cosines = tables.data();
    table.sines = tables.data() + elements;
    fill(table);
    RotateHeads(rotation, table, first_head, std::min(head_count, first_head + kItemHeads));
  };
  const int threads = RunItems(execution, batch_count * row_blocks * head_blocks, rotate_item);
  if (StopRequested(execution)) return absl::CancelledError("stopped on request");
  return threads;
}

template <class Number>
absl::StatusOr<int> RotateByPositions(const Rotation& rotation, const RotaryAngles& angles,
                                      const RowPositions& positions, const Execution& execution) {
  return RotateAll<Number>(rotation, execution, [&](const TableRows<Number>& table) {
    thread_local AlignedArray<double> scratch;
    const absl::Cleanup release = [] { scratch.ReleaseAbove(kKeptBytes); };
    const int64_t first = positions.batch_firsts.empty()
                              ? positions.first
                              : positions.batch_firsts[static_cast<size_t>(table.batch)];
    angles.Fill(SaturatingAdd(first, table.first), table.count, {table.cosines, table.sines},
                scratch);
  });
}

void CopyTableRow(DataType type, const std::byte* source, int64_t count, float* destination) {
  ConvertToF32(type, source, count, destination);
}
void CopyTableRow(DataType type, const std::byte* source, int64_t count, double* destination) {
  LoadElements(type, source, count, destination);
}

template <class Number>
absl::StatusOr<int> RotateByTables(const Rotation& rotation, const RotaryTables& tables,
                                   const Execution& execution) {
  const int64_t row_count = rotation.input.extents[2];
  return RotateAll<Number>(rotation, execution, [&](const TableRows<Number>& table) {
    for (int64_t i = 0; i < table.count; ++i) {
      const int64_t row = table.first + i;
      const bool shared = tables.row_positions != nullptr;
      const int64_t batch = shared ? 0 : table.batch;
      const int64_t table_row = shared ? tables.row_positions[table.batch * row_count + row] : row;
      CopyTableRow(tables.cosines.type, RowAddress(tables.cosines, batch, 0, table_row),
                   rotation.pair_count, table.cosines + i * rotation.pair_count);
      CopyTableRow(tables.sines.type, RowAddress(tables.sines, batch, 0, table_row),
                   rotation.pair_count, table.sines + i * rotation.pair_count);
    }
  });
}

absl::Status CheckInput(const TensorView& input) {
  if (!IsFloating(input.type)) {
    return Invalid("input.type", ToAbsl(Name(input.type)), "a floating point type");
  }
  return CheckOperand("input", input, input.type);
}

absl::Status CheckRows(const TensorView& input, const MutableTensorView& output) {
  if (absl::Status status = CheckInput(input); !status.ok()) return status;
  if (output.extents != input.extents) {
    return Invalid("output.extents", ShapeText(output.extents), ShapeText(input.extents));
  }
  return CheckOperand("output", output, input.type, "the input");
}

int64_t WidthOf(int64_t stated, const TensorView& input) {
  return stated == 0 ? input.extents[3] : stated;
}

absl::Status CheckWidth(absl::string_view field, int64_t width, int64_t row_width) {
  if (width < 0 || width > row_width || width % 2 != 0) {
    return Invalid(field, absl::StrCat(width), absl::StrCat("even, between 0 and ", row_width));
  }
  if (width == 0 && row_width % 2 != 0) {
    return Invalid(field, absl::StrCat("0 for the row width ", row_width), "an even width");
  }
  return absl::OkStatus();
}

absl::Status CheckRowPositions(const RotaryTables& tables, const TensorView& input) {
  const int64_t table_rows = tables.cosines.extents[2];
  const int64_t row_count = input.extents[0] * input.extents[2];
  for (int64_t row = 0; row < row_count; ++row) {
    const int64_t position = tables.row_positions[row];
    if (position < 0 || position >= table_rows) {
      return Invalid(absl::StrCat("row_positions[", row, "]"), absl::StrCat(position),
                     absl::StrCat("in [0, ", table_rows, ")"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTables(const RotaryTables& tables, const TensorView& input, int64_t pair_count) {
  const bool shared = tables.row_positions != nullptr;
  const Extents want = {shared ? 1 : input.extents[0], 1,
                        shared ? tables.cosines.extents[2] : input.extents[2], pair_count};
  absl::Status status = CheckDense("cosines", tables.cosines, want, input.type);
  status.Update(CheckDense("sines", tables.sines, want, input.type));
  if (status.ok() && shared) status = CheckRowPositions(tables, input);
  return status;
}

}  // namespace

absl::Status ValidateRotaryEmbedding(const RotaryEmbedding& rotary, int64_t row_width) {
  if (!std::isfinite(rotary.base) || rotary.base <= 0) {
    return Invalid("rotary.base", absl::StrCat(rotary.base), "a finite number > 0");
  }
  if (!std::isfinite(rotary.position_scale)) {
    return Invalid("rotary.position_scale", absl::StrCat(rotary.position_scale), "a finite number");
  }
  return CheckWidth("rotary.width", rotary.width, row_width);
}

absl::StatusOr<int> ApplyRotaryEmbedding(const RotaryEmbedding& rotary,
                                         const RowPositions& positions, const TensorView& input,
                                         const MutableTensorView& output,
                                         const Execution& execution) {
  absl::Status status = CheckRows(input, output);
  if (status.ok()) status = ValidateRotaryEmbedding(rotary, input.extents[3]);
  const auto batch_firsts = static_cast<int64_t>(positions.batch_firsts.size());
  if (status.ok() && batch_firsts != 0 && batch_firsts != input.extents[0]) {
    status = Invalid("batch_firsts", absl::StrCat(batch_firsts, " positions"),
                     absl::StrCat(input.extents[0], " as input.extents[0]"));
  }
  if (!status.ok()) return status;
  const int64_t width = WidthOf(rotary.width, input);
  const Rotation rotation = {input, output, width / 2, rotary.interleaved};
  return WithinMemory(kTables, [&] {
    const Kept<RotaryAngles> angles;
    const absl::Cleanup release = [&] { angles->ReleaseAbove(kKeptBytes); };
    angles->Begin(rotary, width);
    return input.type == DataType::kF64
               ? RotateByPositions<double>(rotation, *angles, positions, execution)
               : RotateByPositions<float>(rotation, *angles, positions, execution);
  });
}

absl::Status ValidateRotaryTables(const RotaryTables& tables, const TensorView& input) {
  absl::Status status = CheckInput(input);
  if (status.ok()) status = CheckWidth("width", tables.width, input.extents[3]);
  if (!status.ok()) return status;
  return CheckTables(tables, input, WidthOf(tables.width, input) / 2);
}

absl::StatusOr<int> ApplyRotaryTables(const RotaryTables& tables, const TensorView& input,
                                      const MutableTensorView& output, const Execution& execution) {
  absl::Status status = CheckRows(input, output);
  if (status.ok()) status = ValidateRotaryTables(tables, input);
  if (!status.ok()) return status;
  const Rotation rotation = {input, output, WidthOf(tables.width, input) / 2, tables.interleaved};
  return WithinMemory(kTables, [&] {
    return input.type == DataType::kF64 ? RotateByTables<double>(rotation, tables, execution)
                                        : RotateByTables<float>(rotation, tables, execution);
  });
}

}  // namespace attention::kernels
