#include "client/terminal/table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "client/terminal/display_width.h"

namespace attention::client {
namespace {

constexpr int kMaxLabelWidth = 24;

// One column of text, the header first.
using TextColumn = std::vector<std::string>;

int Width(const TextColumn& column) {
  int width = 0;
  for (const std::string& cell : column) width = std::max(width, DisplayWidth(cell));
  return width;
}

std::string Label(const std::vector<std::string>& labels, size_t index) {
  return index == kOmitted ? "..." : Shortened(Printable(labels[index]), kMaxLabelWidth);
}

TextColumn LabelColumn(const LabelledMatrix& matrix, const std::vector<size_t>& rows) {
  TextColumn column = {""};
  for (const size_t row : rows) column.push_back(Label(matrix.row_labels, row));
  return column;
}

TextColumn NumberColumn(const LabelledMatrix& matrix, const std::vector<size_t>& rows, size_t index,
                        int decimals) {
  TextColumn column = {Label(matrix.column_labels, index)};
  for (const size_t row : rows) {
    const bool omitted = row == kOmitted || index == kOmitted;
    column.push_back(omitted ? "..." : NumberText(matrix.At(row, index), decimals));
  }
  return column;
}

}  // namespace

std::string NumberText(double number, int decimals) {
  if (std::isnan(number)) return "nan";
  if (std::isinf(number)) return number > 0 ? "inf" : "-inf";
  std::array<char, 128> text;
  const auto format =
      std::abs(number) < 1e9 ? std::chars_format::fixed : std::chars_format::scientific;
  const auto written =
      std::to_chars(text.data(), text.data() + text.size(), number, format, decimals);
  std::string result(text.data(), written.ptr);
  const bool rounded_to_zero = result.find_first_of("123456789") == std::string::npos;
  if (rounded_to_zero && result.starts_with('-')) result.erase(0, 1);
  return result;
}

std::string FormatTable(const LabelledMatrix& matrix, int decimals, const ShownCounts& shown) {
  const std::vector<size_t> rows = HeadAndTail(matrix.row_labels.size(), shown.rows);
  const TextColumn labels = LabelColumn(matrix, rows);
  const int label_width = Width(labels);
  std::vector<std::string> lines;
  for (const std::string& label : labels) lines.push_back(AlignedLeft(label, label_width));
  for (const size_t index : HeadAndTail(matrix.column_labels.size(), shown.columns)) {
    const TextColumn column = NumberColumn(matrix, rows, index, decimals);
    const int width = Width(column);
    for (size_t line = 0; line < lines.size(); ++line)
      lines[line] += " " + AlignedRight(column[line], width);
  }
  std::string table;
  for (std::string& line : lines) {
    line.erase(line.find_last_not_of(' ') + 1);
    table += line + "\n";
  }
  return table;
}

std::string FormatPairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  int width = 0;
  for (const auto& [name, value] : pairs) width = std::max(width, DisplayWidth(name));
  std::string text;
  for (const auto& [name, value] : pairs)
    text += AlignedLeft(name, width) + "  " + Printable(value) + "\n";
  return text;
}

}  // namespace attention::client
