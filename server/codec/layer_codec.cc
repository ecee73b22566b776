#include "server/codec/layer_codec.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "server/codec/field_error.h"
#include "server/codec/tensor_codec.h"

namespace attention::server {
namespace {

absl::Status Fixed(absl::string_view field, const Layer& layer) {
  return FieldError(field, "a value",
                    absl::StrCat("none, since the layer '", layer.contents().name, "' fixes it"));
}

void Describe(const std::optional<LinearMap>& map, v1::Layer& description,
              v1::Layer::LinearMap* (v1::Layer::*field)()) {
  if (!map.has_value()) return;
  v1::Layer::LinearMap& message = *(description.*field)();
  message.set_input_width(map->input_width);
  message.set_output_width(map->output_width);
  message.set_has_bias(map->bias != nullptr);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Layer>> FindLayer(const std::string& name,
                                                       absl::string_view path,
                                                       const LayerSet* layers) {
  if (!IsLayerName(name)) {
    return FieldError(path, name.empty() ? "an empty name" : "another name",
                      "1 to 128 letters, digits and . _ - of ASCII, the first a letter or a digit");
  }
  if (layers != nullptr) {
    if (const auto found = layers->find(name); found != layers->end()) return found->second;
  }
  return absl::NotFoundError(
      absl::StrCat(path, ": got '", name, "', want one of the layers that ListLayers names"));
}

absl::Status ApplyFixedOptions(const Layer& layer, const v1::AttentionOptions& options,
                               AttentionTask& task) {
  const LayerContents& contents = layer.contents();
  if (contents.scale.has_value()) {
    if (options.has_scale()) return Fixed("options.scale", layer);
    task.options.scale = contents.scale;
  }
  if (!contents.sinks.empty()) {
    if (options.has_sinks()) return Fixed("options.sinks", layer);
    if (task.options.normalization != kernels::Normalization::kSoftmaxOverKeys) {
      return NotOffered(
          absl::StrCat("the sinks of the layer '", contents.name, "'"),
          absl::StrCat("options.normalization ", v1::Normalization_Name(options.normalization())));
    }
    task.problem.sinks = contents.sinks;
  }
  return absl::OkStatus();
}

v1::Layer DescribeLayer(const Layer& layer) {
  const LayerContents& contents = layer.contents();
  v1::Layer description;
  description.set_name(contents.name);
  description.set_data_type(WireType(contents.type));
  description.set_head_count(static_cast<int32_t>(contents.head_count));
  description.set_key_value_head_count(static_cast<int32_t>(contents.key_value_head_count));
  description.set_format(contents.format);
  Describe(contents.query, description, &v1::Layer::mutable_query);
  Describe(contents.key, description, &v1::Layer::mutable_key);
  Describe(contents.value, description, &v1::Layer::mutable_value);
  Describe(contents.output, description, &v1::Layer::mutable_output);
  description.set_appends_key_value(contents.appended_key != nullptr);
  if (contents.scale.has_value()) description.set_scale(*contents.scale);
  description.mutable_sinks()->Assign(contents.sinks.begin(), contents.sinks.end());
  return description;
}

}  // namespace attention::server
