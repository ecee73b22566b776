#include "server/layers/layer_description.h"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "server/core/protocol_limits.h"
#include "server/core/status_macros.h"
#include "server/layers/safetensors.h"
#include "server/layers/strict_json.h"

namespace attention::server {
namespace {

using Json = nlohmann::json;

constexpr std::array kFormats = {LayerFormat::kPyTorch, LayerFormat::kKeras, LayerFormat::kPlain};

absl::Status Wants(absl::string_view field, absl::string_view want) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got something else, want ", want));
}

absl::Status ReadFormat(const Json& value, LayerFormat& format) {
  for (const LayerFormat each : kFormats) {
    if (value == std::string(Name(each))) {
      format = each;
      return absl::OkStatus();
    }
  }
  return Wants("format", "\"pytorch\", \"keras\" or \"plain\"");
}

absl::Status ReadCount(absl::string_view field, const Json& value, std::optional<int64_t>& count) {
  if (!IsWholeNumber(value) || value.get<int64_t>() < 1 || value.get<int64_t>() > kMaxHeads) {
    return Wants(field, absl::StrCat("a whole number from 1 to ", kMaxHeads));
  }
  count = value.get<int64_t>();
  return absl::OkStatus();
}

absl::Status ReadType(const Json& value, std::optional<kernels::DataType>& type) {
  type = StoredType(TextOf(value));
  return type.has_value() ? absl::OkStatus()
                          : Wants("data_type", "\"F32\", \"F16\", \"BF16\" or \"F64\"");
}

absl::Status ReadScale(const Json& value, std::optional<double>& scale) {
  if (!value.is_number() || !std::isfinite(value.get<double>())) {
    return Wants("scale", "a finite number");
  }
  scale = value.get<double>();
  return absl::OkStatus();
}

absl::Status ReadFlag(absl::string_view field, const Json& value, bool& flag) {
  if (!value.is_boolean()) return Wants(field, "true or false");
  flag = value.get<bool>();
  return absl::OkStatus();
}

absl::Status ReadText(absl::string_view field, const Json& value, std::string& text) {
  if (!value.is_string()) return Wants(field, "a text");
  text = value.get<std::string>();
  return absl::OkStatus();
}

absl::Status ReadNames(const Json& value, std::map<std::string, std::string, std::less<>>& names) {
  if (!value.is_object()) return Wants("names", "an object");
  for (const auto& [name, stored] : value.items()) {
    ATTENTION_RETURN_IF_ERROR(ReadText(absl::StrCat("names.", name), stored, names[name]));
  }
  return absl::OkStatus();
}

absl::Status ReadField(const std::string& field, const Json& value, LayerDescription& layer) {
  if (field == "format") return ReadFormat(value, layer.format);
  if (field == "head_count") return ReadCount(field, value, layer.head_count);
  if (field == "key_value_head_count") return ReadCount(field, value, layer.key_value_head_count);
  if (field == "data_type") return ReadType(value, layer.type);
  if (field == "scale") return ReadScale(value, layer.scale);
  if (field == "add_zero_attn") return ReadFlag(field, value, layer.add_zero_attn);
  if (field == "transposed") return ReadFlag(field, value, layer.transposed);
  if (field == "prefix") return ReadText(field, value, layer.prefix);
  if (field == "names") return ReadNames(value, layer.names);
  return absl::InvalidArgumentError(
      absl::StrCat("got the field '", field,
                   "', want format, head_count, key_value_head_count, data_type, scale, "
                   "add_zero_attn, transposed, prefix and names alone"));
}

absl::Status CheckTogether(const Json& value, const LayerDescription& layer) {
  const struct {
    const char* field;
    LayerFormat format;
    bool needs_format;  // or is refused with it
  } rules[] = {{"key_value_head_count", LayerFormat::kPyTorch, false},
               {"add_zero_attn", LayerFormat::kPyTorch, true},
               {"transposed", LayerFormat::kPlain, true}};
  for (const auto& rule : rules) {
    if (!value.contains(rule.field) || (layer.format == rule.format) == rule.needs_format) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        rule.field, ": got a value, want none with the format \"", Name(layer.format), "\""));
  }
  if (layer.format != LayerFormat::kKeras && !layer.head_count.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "head_count: got nothing, want a number with the format \"", Name(layer.format), "\""));
  }
  if (layer.head_count.has_value() && layer.key_value_head_count.has_value() &&
      *layer.head_count % *layer.key_value_head_count != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("key_value_head_count: got ", *layer.key_value_head_count,
                     ", want a divisor of the ", *layer.head_count, " of head_count"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view Name(LayerFormat format) {
  switch (format) {
    case LayerFormat::kPyTorch:
      return "pytorch";
    case LayerFormat::kKeras:
      return "keras";
    case LayerFormat::kPlain:
      return "plain";
  }
  return "";
}

std::string LayerDescription::StoredName(absl::string_view name) const {
  const auto found = names.find(std::string(name));
  return found != names.end() ? found->second : absl::StrCat(prefix, name);
}

absl::StatusOr<LayerDescription> ParseLayerDescription(absl::string_view text) {
  const absl::StatusOr<Json> value = ParseStrictJson(text);
  if (!value.ok()) return value.status();
  LayerDescription layer;
  if (!value->contains("format")) {
    return absl::InvalidArgumentError(
        "format: got nothing, want \"pytorch\", \"keras\" or \"plain\"");
  }
  for (const auto& [field, content] : value->items()) {
    ATTENTION_RETURN_IF_ERROR(ReadField(field, content, layer));
  }
  ATTENTION_RETURN_IF_ERROR(CheckTogether(*value, layer));
  return layer;
}

}  // namespace attention::server
