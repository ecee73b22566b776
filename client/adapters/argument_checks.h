// What adapters ask of arguments before they compute with them. INVALID_ARGUMENT names the argument
// and says what it was and what is wanted.

#ifndef ATTENTION_CLIENT_ADAPTERS_ARGUMENT_CHECKS_H_
#define ATTENTION_CLIENT_ADAPTERS_ARGUMENT_CHECKS_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "client/tensor.h"

namespace attention::client {

// "NAME: got shape [2, 3], want WANT".
[[nodiscard]] absl::Status WrongShape(const std::string& name, const Shape& got,
                                      const std::string& want);

// Whether shape, type and bytes agree, as TensorRef::Validate() has it.
[[nodiscard]] absl::Status CheckBytes(const std::string& name, const TensorRef& tensor);

// The same, and whether the shape is the one wanted.
[[nodiscard]] absl::Status CheckShape(const std::string& name, const TensorRef& tensor,
                                      const Shape& want);

// The same for a tensor of floating point numbers of which only the count of its axes is known.
// `want` describes them.
[[nodiscard]] absl::Status CheckFloats(const std::string& name, const TensorRef& tensor,
                                       size_t axis_count, const std::string& want);

// A kBool of this shape: a mask as Keras means it.
[[nodiscard]] absl::Status CheckBools(const std::string& name, const TensorRef& tensor,
                                      const Shape& want);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ADAPTERS_ARGUMENT_CHECKS_H_
