#include "client/attn/result_text.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "client/array/json_array.h"
#include "client/array/npy_array.h"
#include "client/attn/statistics_text.h"
#include "client/terminal/display_width.h"
#include "client/terminal/table.h"
#include "nlohmann/json.hpp"

namespace attention::client {
namespace {

// One tensor with the labels of its last two axes; empty labels are numbered.
struct NamedTensor {
  std::string title;
  const TensorValue& tensor;
  const std::vector<std::string>& row_labels;
  const std::vector<std::string>& column_labels;
  MatrixAxes axes = kHeadMatrices;
};

template <typename Format>
std::string FormatMatrices(const NamedTensor& named, Format format) {
  const Shape& shape = named.tensor.shape();
  if (shape.size() < 2) return named.title + " has shape " + ToString(shape) + "\n";
  const std::vector<double> numbers = named.tensor.ToDoubles();
  if (numbers.empty()) return named.title + " is empty: shape " + ToString(shape) + "\n\n";
  LabelledMatrix matrix = {.row_labels = FittingLabels(named.row_labels, shape[shape.size() - 2]),
                           .column_labels = FittingLabels(named.column_labels, shape.back())};
  const size_t matrix_size = matrix.row_labels.size() * matrix.column_labels.size();
  std::string text;
  for (size_t first = 0, index = 0; first < numbers.size(); first += matrix_size, ++index) {
    matrix.numbers = std::span(numbers).subspan(first, matrix_size);
    absl::StrAppend(&text, MatrixTitle(named.title, named.axes, shape, index), "\n", format(matrix),
                    "\n");
  }
  return text;
}

std::string Note(const LabelledMatrix& matrix, const ShownCounts& shown) {
  return CutNote(matrix.row_labels.size(), matrix.column_labels.size(), shown);
}

nlohmann::ordered_json TensorJson(const TensorValue& tensor) {
  const bool whole = tensor.type() == DataType::kInt32 || tensor.type() == DataType::kInt64 ||
                     tensor.type() == DataType::kBool;
  return ArrayToJson({.shape = tensor.shape(), .numbers = tensor.ToDoubles()}, whole);
}

nlohmann::ordered_json ExecutionJson(const Execution& execution) {
  return {{"implementation", execution.implementation}, {"precision", execution.precision},
          {"thread_count", execution.thread_count},     {"queue_ns", execution.queue_ns},
          {"compute_ns", execution.compute_ns},         {"total_ns", execution.total_ns},
          {"request_id", execution.request_id}};
}

std::string Milliseconds(int64_t nanoseconds) {
  return NumberText(static_cast<double>(nanoseconds) / 1e6, 3) + " ms";
}

}  // namespace

std::string FormatResult(const AttentionResult& result, const ResultNames& names, bool heat_map,
                         const MatrixStyle& style) {
  const std::vector<std::string> numbered;
  const auto table = [&](const LabelledMatrix& matrix) {
    return FormatTable(matrix, style.decimals, style.shown) + Note(matrix, style.shown);
  };
  const auto picture = [&](const LabelledMatrix& matrix) {
    return FormatHeatMap(matrix, style.heat_map_style, style.shown) + Note(matrix, style.shown);
  };
  const std::vector<std::string>& output_rows =
      names.output_rows_are_queries ? names.query_labels : numbered;
  std::string text =
      FormatMatrices({"output", result.output, output_rows, numbered, names.output_axes}, table);
  if (result.scores) {
    text += FormatMatrices({"scores", *result.scores, names.query_labels, names.key_labels}, table);
  }
  if (result.weights) {
    text +=
        FormatMatrices({"weights", *result.weights, names.query_labels, names.key_labels}, table);
    if (heat_map) {
      text += FormatMatrices(
          {"heat map of weights", *result.weights, names.query_labels, names.key_labels}, picture);
    }
  }
  if (result.present_key) {
    text +=
        FormatMatrices({"present keys", *result.present_key, names.key_labels, numbered}, table);
  }
  if (result.present_value) {
    text += FormatMatrices({"present values", *result.present_value, names.key_labels, numbered},
                           table);
  }
  text += FormatStatistics(result, names, style);
  return text + ExecutionText(result.execution) + "\n";
}

std::string ResultJson(const AttentionResult& result) {
  nlohmann::ordered_json json;
  for (const NamedResultTensor& named : kResultTensors) {
    if (const TensorValue* tensor = Find(result, named.tensor))
      json[std::string(named.field_name)] = TensorJson(*tensor);
  }
  json["execution"] = ExecutionJson(result.execution);
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

absl::StatusOr<std::string> ResultNpy(const AttentionResult& result, ResultTensor tensor) {
  const TensorValue* wanted = Find(result, tensor);
  if (wanted == nullptr)
    return absl::InternalError("the server answered without the tensor it was asked for");
  return ToNpy(*wanted);
}

std::string ExecutionText(const Execution& execution) {
  return Printable("computed by " + execution.implementation + " in " + execution.precision +
                   " on " + std::to_string(execution.thread_count) +
                   (execution.thread_count == 1 ? " thread" : " threads") + " in " +
                   Milliseconds(execution.compute_ns) + ", after " +
                   Milliseconds(execution.queue_ns) + " in the queue");
}

}  // namespace attention::client
