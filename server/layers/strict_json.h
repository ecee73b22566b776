// JSON without the freedoms that let two readers understand one text differently.

#ifndef ATTENTION_SERVER_LAYERS_STRICT_JSON_H_
#define ATTENTION_SERVER_LAYERS_STRICT_JSON_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace attention::server {

struct JsonLimits {
  int max_depth = 4;            // of objects and arrays within each other
  size_t max_values = 100'000;  // numbers, texts, objects, arrays ...
};

// The value of a text that is one JSON object (RFC 8259) and nothing else, in valid UTF-8. Refuses,
// beside what is no JSON, a name that an object has twice, NUL bytes, which the parser takes for
// the end, and what is over a limit, before it is kept. Errors: kInvalidArgument.
[[nodiscard]] absl::StatusOr<nlohmann::json> ParseStrictJson(absl::string_view text,
                                                             const JsonLimits& limits = {});

// The text, or an empty one if the value is no text.
[[nodiscard]] std::string_view TextOf(const nlohmann::json& value);

// A number that is written as a whole one and is not negative, up to 2^63 - 1: "3", but not "3.0",
// "3e0" or "-0".
[[nodiscard]] bool IsWholeNumber(const nlohmann::json& value);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_STRICT_JSON_H_
