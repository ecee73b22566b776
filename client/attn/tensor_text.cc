#include "client/attn/tensor_text.h"

#include "absl/strings/str_cat.h"
#include "client/terminal/labelled_matrix.h"

namespace attention::client {

std::string MatrixTitle(std::string title, const Shape& shape, size_t index) {
  std::string place;
  for (size_t axis = shape.size() - 2; axis-- > 0;) {
    const auto extent = static_cast<size_t>(shape[axis]);
    place = absl::StrCat("[", index % extent, "]", place);
    index /= extent;
  }
  return title + place;
}

std::vector<std::string> FittingLabels(const std::vector<std::string>& labels, int64_t count) {
  return std::ssize(labels) == count ? labels : NumberedLabels("", static_cast<size_t>(count));
}

}  // namespace attention::client
