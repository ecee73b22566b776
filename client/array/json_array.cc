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

nlohmann::ordered_json NumberToJson(double number) {
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

}  // namespace

absl::StatusOr<Array> ParseJsonArray(std::string_view text) {
  const nlohmann::json json =
      nlohmann::json::parse(text, /*cb=*/nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return absl::InvalidArgumentError("the text is not JSON");
  return ArrayFromJson(json);
}

absl::StatusOr<Array> ArrayFromJson(const nlohmann::json& json) {
  if (!json.is_array()) return absl::InvalidArgumentError("the JSON is not a list");
  Walker walker;
  if (absl::Status status = walker.Walk(json, 0); !status.ok()) return status;
  return std::move(walker).TakeArray();
}

nlohmann::ordered_json ArrayToJson(const Array& array) {
  // From the innermost axis outwards: each pass groups runs of `extent` entries into lists.
  nlohmann::ordered_json entries = nlohmann::ordered_json::array();
  for (const double number : array.numbers) entries.push_back(NumberToJson(number));
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
