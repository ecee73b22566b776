#include "server/warm_up_shapes.h"

#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/core/protocol_limits.h"

namespace attention::server {
namespace {

bool ParseExtent(absl::string_view text, int64_t maximum, int64_t& extent) {
  return absl::SimpleAtoi(text, &extent) && extent >= 1 && extent <= maximum;
}

std::optional<WarmUpShape> ParseShape(absl::string_view text) {
  const std::vector<absl::string_view> extents = absl::StrSplit(text, 'x');
  if (extents.size() != 3) return std::nullopt;
  const std::vector<absl::string_view> heads = absl::StrSplit(extents[0], '/');
  if (heads.size() > 2) return std::nullopt;
  WarmUpShape shape;
  const bool valid = ParseExtent(heads.front(), kMaxHeads, shape.head_count) &&
                     ParseExtent(heads.back(), kMaxHeads, shape.key_value_head_count) &&
                     ParseExtent(extents[1], kMaxSequence, shape.token_count) &&
                     ParseExtent(extents[2], kMaxHeadWidth, shape.width) &&
                     shape.head_count % shape.key_value_head_count == 0 &&
                     LargestArrayElements(shape) <= kMaxWarmUpElements;
  return valid ? std::optional(shape) : std::nullopt;
}

absl::Status Unlike(absl::string_view text) {
  return absl::InvalidArgumentError(absl::StrCat(
      "got '", text, "', want none, common or at most ", kMaxWarmUpShapes,
      " shapes like 12x128x64,32/8x1024x128 (heads or heads/key-value heads, tokens, head width), "
      "heads * width * the larger of tokens and heads * width being at most ",
      kMaxWarmUpElements));
}

}  // namespace

absl::StatusOr<std::vector<WarmUpShape>> ParseWarmUpShapes(absl::string_view text) {
  if (text == "none") return std::vector<WarmUpShape>();
  if (text == "common") return CommonWarmUpShapes();
  std::vector<WarmUpShape> shapes;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const std::optional<WarmUpShape> shape = ParseShape(part);
    if (!shape.has_value() || shapes.size() == kMaxWarmUpShapes) return Unlike(text);
    shapes.push_back(*shape);
  }
  return shapes;
}

std::string WarmUpShapesText(const std::vector<WarmUpShape>& shapes) {
  return absl::StrJoin(shapes, ",", [](std::string* text, const WarmUpShape& shape) {
    absl::StrAppend(text, shape.head_count);
    if (shape.key_value_head_count != shape.head_count) {
      absl::StrAppend(text, "/", shape.key_value_head_count);
    }
    absl::StrAppend(text, "x", shape.token_count, "x", shape.width);
  });
}

}  // namespace attention::server
