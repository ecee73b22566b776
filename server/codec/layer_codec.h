// Layers as requests name them and as ListLayers describes them.

#ifndef ATTENTION_SERVER_CODEC_LAYER_CODEC_H_
#define ATTENTION_SERVER_CODEC_LAYER_CODEC_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "attention/v1/attention_service.pb.h"
#include "server/core/attention_task.h"
#include "server/core/layer.h"

namespace attention::server {

// `path` is the field with the name. kInvalidArgument for what cannot be a name; kNotFound, with
// the name.
[[nodiscard]] absl::StatusOr<std::shared_ptr<const Layer>> FindLayer(const std::string& name,
                                                                     absl::string_view path,
                                                                     const LayerSet* layers);

// Puts what the layer fixes into a task whose options are decoded. kInvalidArgument, naming the
// field, if the request says it too.
[[nodiscard]] absl::Status ApplyFixedOptions(const Layer& layer,
                                             const v1::AttentionOptions& options,
                                             AttentionTask& task);

[[nodiscard]] v1::Layer DescribeLayer(const Layer& layer);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CODEC_LAYER_CODEC_H_
