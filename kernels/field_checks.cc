#include "kernels/field_checks.h"

#include "absl/strings/str_cat.h"

namespace attention::kernels {

absl::Status Invalid(absl::string_view field, absl::string_view got, absl::string_view want) {
  return absl::InvalidArgumentError(absl::StrCat(field, ": got ", got, ", want ", want));
}

std::string ShapeText(const Extents& extents) {
  return absl::StrCat("[", extents[0], ", ", extents[1], ", ", extents[2], ", ", extents[3], "]");
}

bool FitsInMemory(const Extents& extents, DataType type) {
  int64_t bytes = static_cast<int64_t>(ElementBytes(type));
  for (const int64_t extent : extents) {
    if (__builtin_mul_overflow(bytes, extent, &bytes)) return false;
  }
  return true;
}

absl::Status CheckOperand(absl::string_view field, const TensorView& view, DataType type,
                          absl::string_view whose) {
  if (view.type != type) {
    return Invalid(absl::StrCat(field, ".type"), ToAbsl(Name(view.type)),
                   absl::StrCat(ToAbsl(Name(type)), " as ", whose));
  }
  for (int axis = 0; axis < 4; ++axis) {
    const int64_t extent = view.extents[axis];
    const bool may_be_zero = axis == 0 || axis == 2;  // an empty batch or sequence
    if (extent < (may_be_zero ? 0 : 1)) {
      return Invalid(absl::StrCat(field, ".extents[", axis, "]"), absl::StrCat(extent),
                     may_be_zero ? ">= 0" : "> 0");
    }
  }
  if (!FitsInMemory(view.extents, view.type)) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(view.extents),
                   "fewer than 2^63 bytes");
  }
  if (ElementCount(view.extents) > 0 && !view.present()) {
    return Invalid(absl::StrCat(field, ".data"), "null", "an array");
  }
  if (view.extents[3] > 1 && view.strides[3] != 1) {
    return Invalid(absl::StrCat(field, ".strides[3]"), absl::StrCat(view.strides[3]), "1");
  }
  return absl::OkStatus();
}

absl::Status CheckExtent(absl::string_view field, int64_t got, int64_t want,
                         absl::string_view whose) {
  if (got == want) return absl::OkStatus();
  return Invalid(field, absl::StrCat(got), absl::StrCat(want, " as ", whose));
}

absl::Status CheckDense(absl::string_view field, const TensorView& view, const Extents& extents,
                        DataType type) {
  if (view.type != type) {
    return Invalid(absl::StrCat(field, ".type"), ToAbsl(Name(view.type)), ToAbsl(Name(type)));
  }
  if (view.extents != extents) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(view.extents), ShapeText(extents));
  }
  if (!FitsInMemory(extents, type)) {
    return Invalid(absl::StrCat(field, ".extents"), ShapeText(extents), "fewer than 2^63 bytes");
  }
  if (ElementCount(extents) > 0 && !view.present()) {
    return Invalid(absl::StrCat(field, ".data"), "null", "an array");
  }
  if (view.strides != DenseStrides(extents)) {
    return Invalid(absl::StrCat(field, ".strides"), ShapeText(view.strides),
                   ShapeText(DenseStrides(extents)));
  }
  return absl::OkStatus();
}

}  // namespace attention::kernels
