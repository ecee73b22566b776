// What the tensors and widths of a layer must satisfy. Errors: kInvalidArgument.

#ifndef ATTENTION_SERVER_LAYERS_LAYER_CHECKS_H_
#define ATTENTION_SERVER_LAYERS_LAYER_CHECKS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/tensor_view.h"
#include "server/core/layer.h"
#include "server/layers/safetensors.h"

namespace attention::server {

inline constexpr int64_t kAnyExtent = -1;

// That the tensor has these extents.
[[nodiscard]] absl::Status CheckShape(const StoredTensor& tensor, const std::vector<int64_t>& want);

// `asked` or, absent, the type that all tensors have in common. There must be one.
[[nodiscard]] absl::StatusOr<kernels::DataType> TypeOfLayer(std::optional<kernels::DataType> asked,
                                                            const StoredTensors& tensors);

// That maps, heads and appended rows fit together and keep to the limits of requests.
[[nodiscard]] absl::Status CheckLayer(const LayerContents& contents);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_LAYERS_LAYER_CHECKS_H_
