// Arrays as nested JSON lists: [[1, 2], [3, 4]] has shape [2, 2].
//
// Numbers are JSON numbers, true (1) and false (0), and the strings "NaN", "Infinity" and
// "-Infinity", as in protobuf's JSON form, because JSON itself has no such numbers.

#ifndef ATTENTION_CLIENT_ARRAY_JSON_ARRAY_H_
#define ATTENTION_CLIENT_ARRAY_JSON_ARRAY_H_

#include <string_view>

#include "absl/status/statusor.h"
#include "client/array/array.h"
#include "nlohmann/json_fwd.hpp"

namespace attention::client {

// INVALID_ARGUMENT if the text is not JSON, or the lists are ragged, nested deeper than kMaxAxes or
// hold anything that is not a number. An empty list is an extent of 0.
[[nodiscard]] absl::StatusOr<Array> ParseJsonArray(std::string_view text);
[[nodiscard]] absl::StatusOr<Array> ArrayFromJson(const nlohmann::json& json);

// The inverse. A shape without axes gives a single number. Numbers that are `whole`, all of which
// fit an int64_t, are written without ".0", which readers of integers refuse.
[[nodiscard]] nlohmann::ordered_json ArrayToJson(const Array& array, bool whole = false);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_JSON_ARRAY_H_
