#include "client/attn/example_report.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/attn/result_text.h"
#include "client/terminal/display_width.h"
#include "client/terminal/table.h"

namespace attention::client {
namespace {

constexpr int kDecimals = 8;  // as many as the expected numbers have
constexpr ShownCounts kAll = {.rows = kOmitted, .columns = kOmitted};

std::string_view NormalizationName(Normalization normalization) {
  switch (normalization) {
    case Normalization::kSoftmaxOverKeys:
      return "softmax over keys";
    case Normalization::kSoftmaxOverQueries:
      return "softmax over queries, down each column of the scores";
    case Normalization::kNone:
      break;
  }
  return "no normalization: the weights are the scores";
}

std::string Heading(const Example& example) {
  const std::string scale = example.scale            ? NumberText(*example.scale, 0)
                            : example.additive_score ? "1"
                                                     : "1/sqrt(key width)";
  std::string text = example.name + ": " + example.title + "\n";
  text += "attn " + std::string(Name(example.method)) + ", " +
          (example.head_count == 1 ? "1 head" : std::to_string(example.head_count) + " heads") +
          ", scale " + scale + ", " + std::string(NormalizationName(example.normalization)) + "\n";
  if (!example.note.empty()) text += example.note + "\n";
  if (example.query_labels == example.key_labels) {
    return text + "words: " + absl::StrJoin(example.query_labels, " ") + "\n\n";
  }
  return text + "queries: " + absl::StrJoin(example.query_labels, ", ") +
         "\nkeys: " + absl::StrJoin(example.key_labels, ", ") + "\n\n";
}

// One head of [heads, queries, keys].
LabelledMatrix HeadMatrix(const Example& example, const Array& array, size_t head) {
  const size_t size = example.query_labels.size() * example.key_labels.size();
  return {.row_labels = example.query_labels,
          .column_labels = example.key_labels,
          .numbers = std::span(array.numbers).subspan(head * size, size)};
}

std::string OutputTable(const Example& example, const ExampleAnswer& answer) {
  return FormatTable(
      {.row_labels = example.query_labels,
       .column_labels = NumberedLabels("", static_cast<size_t>(answer.output.shape[1])),
       .numbers = answer.output.numbers},
      kDecimals, kAll);
}

// A line for each query:
// "cat  sat 0.39016773 | top 3: sat 0.39016773, cat 0.30437435, mat 0.25837354".
std::string StrongestText(const Example& example, const ExampleAnswer& answer, size_t head) {
  const size_t key_count = example.key_labels.size();
  int label_width = 0;
  for (const std::string& label : example.query_labels)
    label_width = std::max(label_width, DisplayWidth(label));
  std::string text;
  for (size_t query = 0; query < example.query_labels.size(); ++query) {
    std::vector<std::string> top;
    for (const size_t key : StrongestKeys(answer, head, query, 3)) {
      const size_t index = (head * example.query_labels.size() + query) * key_count + key;
      top.push_back(example.key_labels[key] + " " +
                    NumberText(answer.weights.numbers[index], kDecimals));
    }
    text += AlignedLeft(example.query_labels[query], label_width) + "  strongest: " + top[0] +
            "; top 3: " + absl::StrJoin(top, ", ") + "\n";
  }
  return text;
}

}  // namespace

std::string FormatExampleList(const std::vector<Example>& examples) {
  int name_width = 0;
  for (const Example& example : examples)
    name_width = std::max(name_width, DisplayWidth(example.name));
  constexpr int kMethodWidth = 10;  // "multi-head"
  std::string text;
  for (const Example& example : examples) {
    text += AlignedLeft(example.name, name_width) + "  " +
            AlignedLeft(Name(example.method), kMethodWidth) + "  " + example.title + "\n";
  }
  return text;
}

std::string FormatExample(const Example& example, const ExampleAnswer& answer, HeatMapStyle style) {
  std::string text = Heading(example);
  for (size_t head = 0; head < static_cast<size_t>(example.head_count); ++head) {
    const std::string of_head = example.head_count == 1 ? "" : absl::StrCat(" of head ", head);
    const LabelledMatrix weights = HeadMatrix(example, answer.weights, head);
    absl::StrAppend(&text, "scores", of_head, " (after masks)\n",
                    FormatTable(HeadMatrix(example, answer.scores, head), kDecimals, kAll), "\n");
    absl::StrAppend(&text, "weights", of_head, " (each row attends to the columns)\n",
                    FormatTable(weights, kDecimals, kAll), "\n");
    absl::StrAppend(&text, StrongestText(example, answer, head), "\n");
    absl::StrAppend(&text, "heat map", of_head, "\n", FormatHeatMap(weights, style, kAll), "\n");
  }
  absl::StrAppend(&text, "output\n", OutputTable(example, answer), "\n");
  return text + ExecutionText(answer.execution) + "\n";
}

std::string FormatComparison(const Comparison& comparison, double tolerance) {
  if (comparison.differences.empty()) {
    return absl::StrFormat("matches: all %d expected numbers and words, to within %g\n",
                           comparison.compared_count, tolerance);
  }
  std::string text;
  for (const Difference& difference : comparison.differences)
    text += "differs: " + DifferenceText(difference) + "\n";
  return text;
}

std::string DifferenceText(const Difference& difference) {
  return difference.place + ": expected " + difference.expected + ", got " + difference.actual;
}

}  // namespace attention::client
