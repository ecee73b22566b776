#include "server/layers/layer_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"

namespace attention::server {
namespace {

std::string ShapeText(const std::vector<int64_t>& shape) {
  return absl::StrCat(
      "[",
      absl::StrJoin(shape, ", ",
                    [](std::string* text, int64_t extent) {
                      text->append(extent == kAnyExtent ? "any" : std::to_string(extent));
                    }),
      "]");
}

absl::Status CheckWidths(absl::string_view name, const LinearMap& map) {
  if (map.input_width <= kMaxWidth && map.output_width <= kMaxWidth) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(name, ": got the widths ", map.input_width,
                                                 " and ", map.output_width,
                                                 ", want <= ", kMaxWidth));
}

// The width of one head; nothing without a map.
absl::StatusOr<std::optional<int64_t>> HeadWidth(absl::string_view name,
                                                 const std::optional<LinearMap>& map,
                                                 int64_t head_count) {
  if (!map.has_value()) return std::nullopt;
  ATTENTION_RETURN_IF_ERROR(CheckWidths(name, *map));
  if (map->output_width % head_count != 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": got the width ", map->output_width,
                                                   ", want a multiple of ", head_count, " heads"));
  }
  const int64_t width = map->output_width / head_count;
  if (width > kMaxHeadWidth) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": got heads of width ", width, ", want <= ", kMaxHeadWidth));
  }
  return width;
}

}  // namespace

absl::Status CheckShape(const StoredTensor& tensor, const std::vector<int64_t>& want) {
  const bool fits = tensor.shape.size() == want.size() &&
                    std::equal(want.begin(), want.end(), tensor.shape.begin(),
                               [](int64_t a, int64_t b) { return a == kAnyExtent || a == b; });
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("tensor '", tensor.name, "': got the shape ",
                                                 ShapeText(tensor.shape), ", want ",
                                                 ShapeText(want)));
}

absl::StatusOr<kernels::DataType> TypeOfLayer(std::optional<kernels::DataType> asked,
                                              const StoredTensors& tensors) {
  if (tensors.empty()) return absl::InvalidArgumentError("got no tensors, want those of a layer");
  if (asked.has_value()) return *asked;
  const kernels::DataType type = tensors.begin()->second.type;
  for (const auto& [name, tensor] : tensors) {
    if (tensor.type == type) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", name, "': got ", std::string(kernels::Name(tensor.type)),
                     ", want ", std::string(kernels::Name(type)), " as in '",
                     tensors.begin()->first, "' or a data_type in layer.json"));
  }
  return type;
}

absl::Status CheckLayer(const LayerContents& contents) {
  if (contents.head_count > kMaxHeads || contents.key_value_head_count > kMaxHeads) {
    return absl::InvalidArgumentError(absl::StrCat("got ", contents.head_count, " and ",
                                                   contents.key_value_head_count,
                                                   " heads, want <= ", kMaxHeads));
  }
  if (contents.head_count % contents.key_value_head_count != 0) {
    return absl::InvalidArgumentError(absl::StrCat("got ", contents.key_value_head_count,
                                                   " key-value heads, want a divisor of the ",
                                                   contents.head_count, " heads"));
  }
  ATTENTION_ASSIGN_OR_RETURN(const auto query,
                             HeadWidth("query", contents.query, contents.head_count));
  ATTENTION_ASSIGN_OR_RETURN(const auto key,
                             HeadWidth("key", contents.key, contents.key_value_head_count));
  ATTENTION_ASSIGN_OR_RETURN(const auto value,
                             HeadWidth("value", contents.value, contents.key_value_head_count));
  if (query.has_value() && key.has_value() && *query != *key) {
    return absl::InvalidArgumentError(absl::StrCat("key: got heads of width ", *key, ", want ",
                                                   *query, " as those of the queries"));
  }
  if (!contents.output.has_value()) return absl::OkStatus();
  ATTENTION_RETURN_IF_ERROR(CheckWidths("output", *contents.output));
  if (!value.has_value()) {
    // Values are as wide as the output's map has them.
    const LinearMap values = {.input_width = 1, .output_width = contents.output->input_width};
    return HeadWidth("output", values, contents.head_count).status();
  }
  if (contents.output->input_width != contents.head_count * *value) {
    return absl::InvalidArgumentError(
        absl::StrCat("output: got the width ", contents.output->input_width, ", want ",
                     contents.head_count * *value, " = heads * value width"));
  }
  return absl::OkStatus();
}

}  // namespace attention::server
