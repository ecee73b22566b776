#include "client/array/json_array.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"

namespace attention::client {
namespace {

std::optional<double> NumberFromJson(const nlohmann::json& json) {
  if (json.is_number()) return json.get<double>();
  if (json.is_boolean()) return json.get<bool>() ? 1.0 : 0.0;
  if (json == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (json == "Infinity") return std::numeric_limits<double>::infinity();
  if (json == "-Infinity") return -std::numeric_limits<double>::infinity();
  return std::nullopt;
}

nlohmann::ordered_json NumberToJson(double number, bool whole) {
  if (whole) return static_cast<int64_t>(number);
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "Infinity" : "-Infinity";
  return number;
}

// "[1][0]".
std::string Path(const std::vector<size_t>& indices) {
  std::string path;
  for (const size_t index : indices) absl::StrAppend(&path, "[", index, "]");
  return path.empty() ? "the top" : path;
}

// Walks the lists depth first. The first list met at each depth sets the extent all others there
// must have.
class Walker {
 public:
  absl::Status Walk(const nlohmann::json& json, size_t depth) {
    if (json.is_array()) return WalkList(json, depth);
    if (depth != DepthOfNumbers(depth)) return Error("has a number beside lists");
    const std::optional<double> number = NumberFromJson(json);
    if (!number) return Error("is not a number");
    array_.numbers.push_back(*number);
    return absl::OkStatus();
  }

  Array TakeArray() && { return std::move(array_); }

 private:
  absl::Status WalkList(const nlohmann::json& list, size_t depth) {
    if (depth == kMaxAxes) return Error(absl::StrCat("is nested deeper than ", kMaxAxes, " axes"));
    if (depth_of_numbers_ && depth >= *depth_of_numbers_) return Error("has a list beside numbers");
    const auto extent = static_cast<int64_t>(list.size());
    if (depth == array_.shape.size()) {
      array_.shape.push_back(extent);
    } else if (array_.shape[depth] != extent) {
      return Error(absl::StrCat("has ", extent, " entries where the lists before it have ",
                                array_.shape[depth]));
    }
    for (size_t i = 0; i < list.size(); ++i) {
      indices_.push_back(i);
      if (absl::Status status = Walk(list[i], depth + 1); !status.ok()) return status;
      indices_.pop_back();
    }
    return absl::OkStatus();
  }

  size_t DepthOfNumbers(size_t depth) {
    // A list met before may be empty below this depth, so the shape alone does not tell.
    if (!depth_of_numbers_) depth_of_numbers_ = std::max(depth, array_.shape.size());
    return *depth_of_numbers_;
  }

  absl::Status Error(absl::string_view problem) const {
    return absl::InvalidArgumentError(absl::StrCat("the JSON at ", Path(indices_), " ", problem));
  }

  Array array_;
  std::optional<size_t> depth_of_numbers_;
  std::vector<size_t> indices_;
};

// Reads a text that is not JSON up to where that shows.
class ErrorFinder final : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return true; }
  bool key(string_t&) override { return true; }
  bool end_object() override { return true; }
  bool start_array(std::size_t) override { return true; }
  bool end_array() override { return true; }

  bool parse_error(std::size_t read_count, const std::string& last_token,
                   const nlohmann::json::exception& error) override {
    read_count_ = read_count;
    if (dynamic_cast<const nlohmann::json::out_of_range*>(&error) == nullptr) return false;
    is_beyond_range_ = true;
    read_count_ -= std::min(read_count_, last_token.size() - 1);  // to the number's first character
    return false;
  }

  // Where reading `text` ended, and why.
  [[nodiscard]] absl::Status Status(std::string_view text) const {
    if (read_count_ > text.size())
      return absl::InvalidArgumentError("the JSON ends before its lists do");
    const std::string_view read = text.substr(0, read_count_);
    const size_t line_begin = read.substr(0, read.size() - 1).rfind('\n') + 1;  // npos + 1 is 0
    return absl::InvalidArgumentError(
        absl::StrCat("line ", std::ranges::count(read.substr(0, line_begin), '\n') + 1, ", column ",
                     read.size() - line_begin, ": ",
                     is_beyond_range_ ? "this number is beyond those of float64"
                                      : "what comes here is not JSON"));
  }

 private:
  size_t read_count_ = 1;
  bool is_beyond_range_ = false;
};

}  // namespace

absl::StatusOr<Array> ParseJsonArray(std::string_view text) {
  const nlohmann::json json =
      nlohmann::json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (!json.is_discarded()) return ArrayFromJson(json);
  ErrorFinder finder;
  static_cast<void>(nlohmann::json::sax_parse(text, &finder));
  return finder.Status(text);
}

absl::StatusOr<Array> ArrayFromJson(const nlohmann::json& json) {
  if (!json.is_array()) return absl::InvalidArgumentError("the JSON is not a list");
  Walker walker;
  if (absl::Status status = walker.Walk(json, 0); !status.ok()) return status;
  return std::move(walker).TakeArray();
}

nlohmann::ordered_json ArrayToJson(const Array& array, bool whole) {
  // From the innermost axis outwards: each pass groups runs of `extent` entries into lists.
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const double number : array.numbers) entries.push_back(NumberToJson(number, whole));
  for (size_t axis = array.shape.size(); axis-- > 0;) {
    const int64_t extent = array.shape[axis];
    int64_t list_count = 1;
    for (size_t outer = 0; outer < axis; ++outer) list_count *= array.shape[outer];
    nlohmann::ordered_json lists = nlohmann::ordered_json::array();
    for (int64_t i = 0; i < list_count; ++i) {
      nlohmann::ordered_json list = nlohmann::ordered_json::array();
      for (int64_t j = 0; j < extent; ++j) list.push_back(std::move(entries[i * extent + j]));
      lists.push_back(std::move(list));
    }
    entries = std::move(lists);
  }
  return entries.empty() ? entries : nlohmann::ordered_json(std::move(entries[0]));
}

}  // namespace attention::client
