#include "client/adapters/keras_mask.h"

#include "absl/strings/str_cat.h"

namespace attention::client {

absl::Status CheckKerasMask(const std::string& name, const TensorRef& mask, const Shape& shape) {
  if (mask.type() != DataType::kBool) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": got ", std::string(Name(mask.type())), ", want BOOL"));
  }
  if (mask.shape() != shape) {
    return absl::InvalidArgumentError(
        absl::StrCat(name, ": got shape ", ToString(mask.shape()), ", want ", ToString(shape)));
  }
  const absl::Status valid = mask.Validate();
  return valid.ok() ? valid : absl::InvalidArgumentError(absl::StrCat(name, ": ", valid.message()));
}

}  // namespace attention::client
