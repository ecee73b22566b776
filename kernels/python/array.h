// The caller's arrays, seen in place: NumPy arrays, PyTorch tensors, and whatever else on the CPU
// offers DLPack or the buffer protocol.

#ifndef ATTENTION_KERNELS_PYTHON_ARRAY_H_
#define ATTENTION_KERNELS_PYTHON_ARRAY_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "kernels/tensor_view.h"

namespace attention::python {

enum class Access : uint8_t { kRead, kWrite };

// Extents or strides, outermost first.
using Shape = absl::InlinedVector<int64_t, 4>;

// A borrowed array. The memory stays alive as long as this object.
struct Array {
  nanobind::object object;                 // what the caller gave
  nanobind::ndarray<nanobind::ro> memory;  // and its memory
  kernels::DataType type = kernels::DataType::kF32;
  Shape extents;
  Shape strides;         // in elements
  void* data = nullptr;  // aligned to an element; not null even where there are no elements

  [[nodiscard]] size_t rank() const { return extents.size(); }
};

// Borrows `object`; `field` names it in errors. bfloat16 comes by DLPack, or as a NumPy array of
// the dtype of that name that ml_dtypes defines. Raises TypeError for what is no array, has
// elements of another type than kernels::DataType knows, or is read-only where it shall be written;
// ValueError for one that is not in the CPU's memory, not aligned to its elements, or with strides
// of parts of them.
[[nodiscard]] Array BorrowArray(nanobind::handle object, const std::string& field, Access access);

// Raises ValueError for a tensor that requires a gradient, where gradients are recorded: nobody
// here computes one. Any other object passes.
void RequireNoGradient(nanobind::handle object, const std::string& field);

// A new dense array of the kind and element type of `like`, or of the given type: a tensor for a
// tensor, otherwise a NumPy array. Raises TypeError where NumPy has no such type.
[[nodiscard]] Array MakeArrayLike(const Array& like, const Shape& extents);
[[nodiscard]] Array MakeArrayLike(const Array& like, const Shape& extents, kernels::DataType type);

// "[2, 8, 512, 64]"
[[nodiscard]] std::string ShapeText(const Shape& extents);

// As a view of rank four, with leading axes of extent 1 where the array has fewer. Of up to four
// axes.
[[nodiscard]] kernels::MutableTensorView ViewOf(const Array& array);

// A view [batch, heads, queries, 1] of an array [batch, heads, queries] or of fewer leading axes.
[[nodiscard]] kernels::MutableTensorView ColumnViewOf(Array array);

// Raises ValueError if several elements may lie at one address, as where an axis is broadcast: such
// an array is no place for a result. Refuses axes whose elements lie among each other's, too.
void RequireOwnPlaces(const Array& array, const std::string& field);

// Whether the address ranges from the first to the last element of the two share a byte.
[[nodiscard]] bool MayOverlap(const kernels::TensorView& left, const kernels::TensorView& right);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_ARRAY_H_
