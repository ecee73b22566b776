#include "server/layers/strict_json.h"

#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace attention::server {
namespace {

using Json = nlohmann::json;
using Event = Json::parse_event_t;

// Watches a text being parsed. Once something is wrong nothing more is kept.
class Watcher {
 public:
  explicit Watcher(const JsonLimits& limits) : limits_(limits) {}

  // Whether to keep what has been parsed.
  bool Watch(Event event, const Json& parsed) {
    if (!status_.ok()) return false;
    switch (event) {
      case Event::object_start:
      case Event::array_start:
        names_.emplace_back();
        if (static_cast<int>(names_.size()) > limits_.max_depth) {
          return Refuse(absl::StrCat("got more than ", limits_.max_depth,
                                     " objects and arrays within each other"));
        }
        return Count();
      case Event::object_end:
      case Event::array_end:
        names_.pop_back();
        return true;
      case Event::key:
        if (!names_.back().insert(parsed.get<std::string>()).second) {
          return Refuse(absl::StrCat("got '", parsed.get<std::string>(), "' twice"));
        }
        return true;
      case Event::value:
        return Count();
    }
    return true;
  }

  [[nodiscard]] const absl::Status& status() const { return status_; }

 private:
  bool Count() {
    if (++value_count_ <= limits_.max_values) return true;
    return Refuse(absl::StrCat("got more than ", limits_.max_values, " values"));
  }

  bool Refuse(const std::string& message) {
    status_ = absl::InvalidArgumentError(message);
    return false;
  }

  const JsonLimits limits_;
  std::vector<std::set<std::string>> names_;  // of the objects around; empty for arrays
  size_t value_count_ = 0;
  absl::Status status_;
};

}  // namespace

absl::StatusOr<Json> ParseStrictJson(absl::string_view text, const JsonLimits& limits) {
  if (text.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError("got a NUL byte, want JSON");
  }
  Watcher watcher(limits);
  Json value = Json::parse(
      text.begin(), text.end(),
      [&watcher](int /*depth*/, Event event, Json& parsed) { return watcher.Watch(event, parsed); },
      /*allow_exceptions=*/false);
  if (!watcher.status().ok()) return watcher.status();
  if (value.is_discarded()) return absl::InvalidArgumentError("got something else, want JSON");
  if (!value.is_object()) return absl::InvalidArgumentError("got no object, want one");
  return value;
}

std::string_view TextOf(const nlohmann::json& value) {
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>())
                           : std::string_view();
}

bool IsWholeNumber(const Json& value) {
  return value.is_number_unsigned() &&
         value.get<uint64_t>() <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
}

}  // namespace attention::server
