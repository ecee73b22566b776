#include "client/attn/tensor_files.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace attention::client {

TensorRef TensorFiles::Read(const std::string& flag, const std::string& path, DataType type) {
  if (!status_.ok()) return {};
  if (path == "-" && !standard_input_flag_.empty()) {
    Fail(absl::StrCat(flag, ": standard input was already read for ", standard_input_flag_));
    return {};
  }
  if (path == "-") standard_input_flag_ = flag;
  const absl::StatusOr<Array> array = ReadArray(path, format_, standard_input_);
  if (!array.ok()) {
    Fail(absl::StrCat(flag, ": ", array.status().message()));
    return {};
  }
  absl::StatusOr<TensorValue> tensor = TensorValue::FromDoubles(type, array->shape, array->numbers);
  if (!tensor.ok()) {
    Fail(absl::StrCat(flag, ": ", tensor.status().message()));
    return {};
  }
  return Keep(*std::move(tensor));
}

std::optional<TensorRef> TensorFiles::ReadOptional(const std::string& flag, const std::string& path,
                                                   DataType type) {
  return path.empty() ? std::nullopt : std::optional<TensorRef>(Read(flag, path, type));
}

TensorRef TensorFiles::Keep(TensorValue tensor) {
  tensors_.push_back(std::move(tensor));
  return tensors_.back().ref();
}

void TensorFiles::Fail(const std::string& problem) {
  if (status_.ok()) status_ = absl::InvalidArgumentError(problem);
}

}  // namespace attention::client
