#include "client/attn/tensor_text.h"

#include "absl/strings/str_cat.h"

namespace attention::client {

std::string MatrixTitle(std::string title, const MatrixAxes& axes, const Shape& shape,
                        size_t index) {
  std::string place;
  for (size_t axis = shape.size() - 2, name = axes.size(); axis-- > 0;) {
    // A server may answer with more axes than any tensor here has.
    const std::string axis_name = name > 0 ? std::string(axes[--name]) : "part";
    const auto extent = static_cast<size_t>(shape[axis]);
    if (extent > 1) place = absl::StrCat(", ", axis_name, " ", index % extent, place);
    index /= extent;
  }
  return title + place;
}

std::string CutNote(size_t row_count, size_t column_count, const ShownCounts& shown) {
  if (row_count <= shown.rows && column_count <= shown.columns) return "";
  return absl::StrCat(row_count, " x ", column_count, "; --full shows all\n");
}

std::vector<std::string> FittingLabels(const std::vector<std::string>& labels, int64_t count) {
  return std::ssize(labels) == count ? labels : NumberedLabels("", static_cast<size_t>(count));
}

}  // namespace attention::client
