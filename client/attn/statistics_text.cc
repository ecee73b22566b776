#include "client/attn/statistics_text.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/attn/tensor_text.h"
#include "client/terminal/display_width.h"
#include "client/terminal/table.h"

namespace attention::client {
namespace {

// Vectors side by side: [..., rows] tensors of one shape, one for each column.
struct Columns {
  std::string title;
  std::vector<std::pair<std::string, const TensorValue*>> tensors = {};
  const std::vector<std::string>& row_labels;

  void Add(const std::string& name, const std::optional<TensorValue>& tensor) {
    if (tensor) tensors.emplace_back(name, &*tensor);
  }
};

std::string FormatColumns(const Columns& columns, const MatrixStyle& style) {
  if (columns.tensors.empty()) return "";
  Shape shape = columns.tensors[0].second->shape();
  if (shape.empty()) shape = {1};  // a server may answer with fewer axes than any tensor has
  const int64_t row_count = shape.back();
  LabelledMatrix matrix = {.row_labels = FittingLabels(columns.row_labels, row_count),
                           .column_labels = {}};
  std::vector<std::vector<double>> numbers;
  for (const auto& [name, tensor] : columns.tensors) {
    matrix.column_labels.push_back(name);
    numbers.push_back(tensor->ToDoubles());
  }
  shape.push_back(static_cast<int64_t>(numbers.size()));
  const auto rows = static_cast<size_t>(row_count);
  std::string text;
  for (size_t first = 0, index = 0; first < numbers[0].size(); first += rows, ++index) {
    std::vector<double> interleaved;
    for (size_t row = first; row < first + rows; ++row)
      for (const std::vector<double>& column : numbers) interleaved.push_back(column[row]);
    matrix.numbers = interleaved;
    absl::StrAppend(&text, MatrixTitle(columns.title, kHeadMatrices, shape, index), "\n",
                    FormatTable(matrix, style.decimals, style.shown),
                    CutNote(rows, numbers.size(), style.shown), "\n");
  }
  return text;
}

// Which of all keys is the first of those that the query sees: that of its own sequence.
size_t FirstKey(const ResultNames& names, size_t query) {
  size_t sequence = 0;
  while (sequence + 1 < std::min(names.query_starts.size(), names.key_starts.size()) &&
         std::cmp_less_equal(names.query_starts[sequence + 1], query)) {
    ++sequence;
  }
  return names.key_starts.empty() ? 0 : static_cast<size_t>(names.key_starts[sequence]);
}

std::string KeyName(const ResultNames& names, size_t key) {
  if (key < names.key_labels.size()) return Printable(names.key_labels[key]);
  return key == names.key_labels.size() ? std::string(kAppendedKeyLabel) : std::to_string(key);
}

// "sat 0.390168, cat 0.304374"; "none" for a query that sees no key, "nan" where its weights are
// that, which have no strongest.
template <typename NameOf>
std::string Strongest(std::span<const double> weights, std::span<const double> keys, NameOf name_of,
                      int decimals) {
  std::vector<std::string> entries;
  for (size_t i = 0; i < keys.size() && keys[i] >= 0; ++i) {
    entries.push_back(name_of(static_cast<size_t>(keys[i])) + " " +
                      NumberText(weights[i], decimals));
  }
  if (!entries.empty()) return absl::StrJoin(entries, ", ");
  return !weights.empty() && std::isnan(weights[0]) ? NumberText(weights[0], decimals) : "none";
}

std::string FormatStrongest(const AttentionResult& result, const ResultNames& names,
                            const MatrixStyle& style) {
  if (!result.top_weights || !result.top_keys) return "";
  const Shape& shape = result.top_keys->shape();
  if (shape.size() < 2 || shape != result.top_weights->shape()) return "";
  const std::vector<double> weights = result.top_weights->ToDoubles();
  const std::vector<double> keys = result.top_keys->ToDoubles();
  const std::vector<std::string> labels =
      FittingLabels(names.query_labels, shape[shape.size() - 2]);
  int label_width = 0;
  for (const std::string& label : labels) label_width = std::max(label_width, DisplayWidth(label));
  const auto count = static_cast<size_t>(shape.back());
  const size_t matrix_size = labels.size() * count;
  std::string text;
  for (size_t first = 0, index = 0; first < keys.size(); first += matrix_size, ++index) {
    absl::StrAppend(&text, MatrixTitle("strongest keys", kHeadMatrices, shape, index), "\n");
    for (const size_t row : HeadAndTail(labels.size(), style.shown.rows)) {
      if (row == kOmitted) {
        text += "...\n";
        continue;
      }
      const size_t begin = first + row * count;
      const size_t first_key = FirstKey(names, row);
      const auto name_of = [&](size_t key) { return KeyName(names, first_key + key); };
      absl::StrAppend(&text, AlignedLeft(Printable(labels[row]), label_width), "  ",
                      Strongest(std::span(weights).subspan(begin, count),
                                std::span(keys).subspan(begin, count), name_of, style.decimals),
                      "\n");
    }
    absl::StrAppend(&text,
                    CutNote(labels.size(), count, {.rows = style.shown.rows, .columns = kOmitted}),
                    "\n");
  }
  return text;
}

}  // namespace

std::string FormatStatistics(const AttentionResult& result, const ResultNames& names,
                             const MatrixStyle& style) {
  Columns queries{.title = "each query", .row_labels = names.query_labels};
  queries.Add("entropy", result.entropy);
  queries.Add("maximum weight", result.maximum_weight);
  queries.Add("log-sum-exp", result.log_sum_exp);
  Columns keys{.title = "each key", .row_labels = names.key_labels};
  keys.Add("mass", result.key_mass);
  return FormatStrongest(result, names, style) + FormatColumns(queries, style) +
         FormatColumns(keys, style);
}

}  // namespace attention::client
