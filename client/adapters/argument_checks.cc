#include "client/adapters/argument_checks.h"

#include "absl/strings/str_cat.h"

namespace attention::client {
namespace {

bool IsFloatingPoint(DataType type) {
  return type == DataType::kF32 || type == DataType::kF16 || type == DataType::kBF16 ||
         type == DataType::kF64;
}

absl::Status WrongType(const std::string& name, DataType got, absl::string_view want) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": got ", std::string(Name(got)), ", want ", want));
}

}  // namespace

absl::Status WrongShape(const std::string& name, const Shape& got, const std::string& want) {
  return absl::InvalidArgumentError(
      absl::StrCat(name, ": got shape ", ToString(got), ", want ", want));
}

absl::Status CheckBytes(const std::string& name, const TensorRef& tensor) {
  const absl::Status valid = tensor.Validate();
  return valid.ok() ? valid : absl::InvalidArgumentError(absl::StrCat(name, ": ", valid.message()));
}

absl::Status CheckShape(const std::string& name, const TensorRef& tensor, const Shape& want) {
  if (tensor.shape() != want) return WrongShape(name, tensor.shape(), ToString(want));
  return CheckBytes(name, tensor);
}

absl::Status CheckFloats(const std::string& name, const TensorRef& tensor, size_t axis_count,
                         const std::string& want) {
  if (tensor.shape().size() != axis_count) return WrongShape(name, tensor.shape(), want);
  if (!IsFloatingPoint(tensor.type()))
    return WrongType(name, tensor.type(), "a floating point type");
  return CheckBytes(name, tensor);
}

absl::Status CheckBools(const std::string& name, const TensorRef& tensor, const Shape& want) {
  if (tensor.type() != DataType::kBool) return WrongType(name, tensor.type(), "BOOL");
  return CheckShape(name, tensor, want);
}

}  // namespace attention::client
