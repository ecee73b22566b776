// The value of --warm-up.

#ifndef ATTENTION_SERVER_WARM_UP_SHAPES_H_
#define ATTENTION_SERVER_WARM_UP_SHAPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/core/warm_up.h"

namespace attention::server {

inline constexpr size_t kMaxWarmUpShapes = 64;
inline constexpr int64_t kMaxWarmUpElements = int64_t{1} << 26;  // LargestArrayElements of a shape

// "none"; "common", which is CommonWarmUpShapes; or shapes with commas between them: "12x128x64"
// has 12 heads, 128 tokens and heads of width 64, "32/8x128x64" has 8 heads of keys and values for
// its 32 of queries. Extents are those that a request may have.
[[nodiscard]] absl::StatusOr<std::vector<WarmUpShape>> ParseWarmUpShapes(absl::string_view text);

// What ParseWarmUpShapes reads, shapes one by one.
[[nodiscard]] std::string WarmUpShapesText(const std::vector<WarmUpShape>& shapes);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_WARM_UP_SHAPES_H_
