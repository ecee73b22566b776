#include "client/terminal/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string_view>

#include "client/terminal/display_width.h"
#include "client/terminal/table.h"

namespace attention::client {
namespace {

constexpr int kMaxRowLabelWidth = 24;
constexpr int kMinCellWidth = 5;  // "-0.25"
constexpr int kMaxCellWidth = 10;
constexpr std::array<std::string_view, 5> kBlocks = {" ", "░", "▒", "▓", "█"};

struct Colour {
  double red, green, blue;
};

// Five points of the viridis colour map (Smith and van der Walt, 2015), which stays in order
// without colour vision.
constexpr std::array<Colour, 5> kColours = {
    Colour{68, 1, 84}, {59, 82, 139}, {33, 145, 140}, {94, 201, 98}, {253, 231, 37}};

struct Range {
  double lowest = std::numeric_limits<double>::infinity();
  double highest = -std::numeric_limits<double>::infinity();

  // 0 at the lowest number, 1 at the highest. Where all are equal, or as good as that: 1, or 0 if
  // they are 0.
  [[nodiscard]] double Place(double number) const {
    const double half_extent = highest / 2 - lowest / 2;  // halves cannot overflow
    if (half_extent == 0) return number == 0 ? 0 : 1;
    return (number / 2 - lowest / 2) / half_extent;
  }
};

Range RangeOf(std::span<const double> numbers) {
  Range range;
  for (const double number : numbers) {
    if (!std::isfinite(number)) continue;
    range.lowest = std::min(range.lowest, number);
    range.highest = std::max(range.highest, number);
  }
  return range;
}

Colour ColourAt(double place) {
  const double position = place * (kColours.size() - 1);
  const size_t lower = std::min(static_cast<size_t>(position), kColours.size() - 2);
  const double share = position - static_cast<double>(lower);
  const auto mix = [&](double Colour::*part) {
    return std::round(kColours[lower].*part * (1 - share) + kColours[lower + 1].*part * share);
  };
  return {mix(&Colour::red), mix(&Colour::green), mix(&Colour::blue)};
}

std::string Background(Colour colour, HeatMapStyle style) {
  const auto text = [](double part) { return std::to_string(static_cast<int>(part)); };
  if (style == HeatMapStyle::kTrueColour) {
    return "\x1b[48;2;" + text(colour.red) + ";" + text(colour.green) + ";" + text(colour.blue) +
           "m";
  }
  // The cube's six levels of each part, and its first index.
  const auto level = [](double part) { return std::round(part / 255 * 5); };
  return "\x1b[48;5;" +
         text(16 + 36 * level(colour.red) + 6 * level(colour.green) + level(colour.blue)) + "m";
}

std::string ColourCell(std::string_view text, double place, HeatMapStyle style) {
  const std::string foreground = place > 0.6 ? "\x1b[38;5;16m" : "\x1b[38;5;231m";
  return Background(ColourAt(place), style) + foreground + std::string(text) + "\x1b[0m";
}

std::string BlockCell(double place, int width) {
  const auto level = static_cast<size_t>(std::lround(place * (kBlocks.size() - 1)));
  std::string cell;
  for (int i = 0; i < width; ++i) cell += kBlocks[level];
  return cell;
}

std::string Centred(std::string_view text, int width) {
  return AlignedLeft(std::string((width - DisplayWidth(text)) / 2, ' ') + std::string(text), width);
}

std::string Cell(double number, const Range& range, int width, HeatMapStyle style) {
  if (std::isnan(number)) return Centred("?", width);
  if (std::isinf(number)) return Centred(".", width);
  if (style == HeatMapStyle::kBlocks) return BlockCell(range.Place(number), width);
  const std::string text = Shortened(NumberText(number, 2), width);
  return ColourCell(Centred(text, width), range.Place(number), style);
}

std::string Legend(const Range& range, HeatMapStyle style) {
  if (range.lowest > range.highest) return "no finite numbers\n";
  std::string scale;
  for (size_t i = 0; i < kBlocks.size(); ++i) {
    const double place = static_cast<double>(i) / (kBlocks.size() - 1);
    scale += style == HeatMapStyle::kBlocks ? BlockCell(place, 2) : ColourCell("  ", place, style);
  }
  return NumberText(range.lowest, 4) + " [" + scale + "] " + NumberText(range.highest, 4) + "\n";
}

std::string Label(const std::vector<std::string>& labels, size_t index, int width) {
  return index == kOmitted ? "..." : Shortened(Printable(labels[index]), width);
}

int LabelWidth(const std::vector<std::string>& labels, const std::vector<size_t>& indices,
               int max_width) {
  int width = 0;
  for (const size_t index : indices)
    width = std::max(width, DisplayWidth(Label(labels, index, max_width)));
  return width;
}

}  // namespace

std::string FormatHeatMap(const LabelledMatrix& matrix, HeatMapStyle style,
                          const ShownCounts& shown) {
  const std::vector<size_t> rows = HeadAndTail(matrix.row_labels.size(), shown.rows);
  const std::vector<size_t> columns = HeadAndTail(matrix.column_labels.size(), shown.columns);
  const int label_width = LabelWidth(matrix.row_labels, rows, kMaxRowLabelWidth);
  const int cell_width =
      std::max(kMinCellWidth, LabelWidth(matrix.column_labels, columns, kMaxCellWidth));
  const Range range = RangeOf(matrix.numbers);

  std::string header(label_width, ' ');
  for (const size_t column : columns) {
    header += " " + Centred(Label(matrix.column_labels, column, cell_width), cell_width);
  }
  header.erase(header.find_last_not_of(' ') + 1);
  std::string picture = header + "\n";
  for (const size_t row : rows) {
    std::string line = AlignedLeft(Label(matrix.row_labels, row, kMaxRowLabelWidth), label_width);
    for (const size_t column : columns) {
      const bool omitted = row == kOmitted || column == kOmitted;
      line += " ";
      line += omitted ? Centred("...", cell_width)
                      : Cell(matrix.At(row, column), range, cell_width, style);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    picture += line + "\n";
  }
  return picture + Legend(range, style);
}

}  // namespace attention::client
