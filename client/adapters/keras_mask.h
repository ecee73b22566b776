// Boolean masks as Keras means them, True = attend.

#ifndef ATTENTION_CLIENT_ADAPTERS_KERAS_MASK_H_
#define ATTENTION_CLIENT_ADAPTERS_KERAS_MASK_H_

#include <string>

#include "absl/status/status.h"
#include "client/tensor.h"

namespace attention::client {

// INVALID_ARGUMENT, naming the mask, unless it is a kBool of this shape.
[[nodiscard]] absl::Status CheckKerasMask(const std::string& name, const TensorRef& mask,
                                          const Shape& shape);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ADAPTERS_KERAS_MASK_H_
