#include "client/array/csv_array.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace attention::client {
namespace {

std::string_view Trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

// The text up to the next separator, which is dropped with it from `*rest`.
std::string_view TakeUntil(char separator, std::string_view* rest) {
  const size_t end = rest->find(separator);
  const std::string_view taken = rest->substr(0, end);
  *rest = end == std::string_view::npos ? std::string_view() : rest->substr(end + 1);
  return taken;
}

std::optional<double> ParseNumber(std::string_view field) {
  const absl::string_view word(field.data(), field.size());
  if (absl::EqualsIgnoreCase(word, "true")) return 1.0;
  if (absl::EqualsIgnoreCase(word, "false")) return 0.0;
  if (field.starts_with('+') && !field.starts_with("+-")) field.remove_prefix(1);
  double number = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), number);
  if (end != field.data() + field.size()) return std::nullopt;
  if (error == std::errc()) return number;
  // Of a number out of range it does not say whether it is too large or too small.
  const bool is_read = error == std::errc::result_out_of_range && absl::SimpleAtod(word, &number);
  return is_read ? std::optional<double>(number) : std::nullopt;
}

// Infinite because it was too large, not because it says so.
bool IsBeyondRange(std::string_view field, double number) {
  return std::isinf(number) && field.find_first_of("0123456789") != std::string_view::npos;
}

// A field of hostile length or content must not flood or garble the error text.
std::string Excerpt(std::string_view field) {
  constexpr size_t kMaxExcerptBytes = 24;
  std::string excerpt;
  for (const char c : field.substr(0, kMaxExcerptBytes)) excerpt += c >= ' ' && c <= '~' ? c : '?';
  return field.size() > kMaxExcerptBytes ? excerpt + "..." : excerpt;
}

absl::Status ParseRow(std::string_view line, int64_t line_number, Array* array) {
  int64_t column_count = 0;
  // A trailing comma leaves an empty last field, which is refused like any other.
  for (bool more = true; more;) {
    more = line.find(',') != std::string_view::npos;
    const std::string_view field = Trim(TakeUntil(',', &line));
    const std::optional<double> number = ParseNumber(field);
    ++column_count;
    if (!number || IsBeyondRange(field, *number)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "line ", line_number, ", column ", column_count, ": \"", Excerpt(field),
          number ? "\" is beyond the numbers of float64"
                 : "\" is not a number; want numbers separated by commas and no header row"));
    }
    array->numbers.push_back(*number);
  }
  if (array->shape[0] > 0 && column_count != array->shape[1]) {
    return absl::InvalidArgumentError(absl::StrCat("line ", line_number, " has ", column_count,
                                                   " numbers where the lines before it have ",
                                                   array->shape[1]));
  }
  ++array->shape[0];
  array->shape[1] = column_count;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Array> ParseCsvArray(std::string_view text) {
  Array array{.shape = {0, 0}};
  for (int64_t line_number = 1; !text.empty(); ++line_number) {
    const std::string_view line = Trim(TakeUntil('\n', &text));
    if (line.empty() || line.starts_with('#')) continue;
    if (absl::Status status = ParseRow(line, line_number, &array); !status.ok()) return status;
  }
  if (array.shape[0] == 0) return absl::InvalidArgumentError("there are no numbers in it");
  return array;
}

}  // namespace attention::client
