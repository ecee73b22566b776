#include "kernels/python/array.h"

#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kernels/python/status_error.h"

namespace attention::python {
namespace {

namespace nb = nanobind;
using kernels::DataType;
using kernels::Extents;
using kernels::MutableTensorView;
using kernels::TensorView;

// What an array without elements points to.
alignas(64) std::byte nothing[64];

// References to what other packages define. Never released: the interpreter may be gone when static
// objects are destroyed. Looked up under the interpreter's lock; no function-local statics, whose
// own lock an import might wait for while it holds the interpreter's.
nb::handle known_numpy_empty;
nb::handle known_numpy_array;
nb::handle known_tensor;
nb::handle known_to_dlpack;
nb::handle known_is_grad_enabled;
nb::handle known_bfloat16;  // the dtype of the first NumPy array of bfloat16

nb::handle Look(nb::handle& known, const char* module, const char* name) {
  if (!known.is_valid()) known = nb::object(nb::module_::import_(module).attr(name)).release();
  return known;
}

bool IsInstance(nb::handle object, nb::handle type) {
  return PyObject_TypeCheck(object.ptr(), reinterpret_cast<PyTypeObject*>(type.ptr()));
}

bool IsNumPy(nb::handle object) {
  return IsInstance(object, Look(known_numpy_array, "numpy", "ndarray"));
}

// torch.Tensor or a class derived from it. Does not import PyTorch: without it there are none.
bool IsTensor(nb::handle object) {
  if (!known_tensor.is_valid()) {
    PyObject* torch = PyDict_GetItemString(PyImport_GetModuleDict(), "torch");
    if (torch == nullptr || !nb::hasattr(torch, "Tensor")) return false;
  }
  return IsInstance(object, Look(known_tensor, "torch", "Tensor"));
}

std::string AttributeText(nb::handle object, const char* name) {
  const nb::object attribute = object.attr(name);
  return nb::str(attribute).c_str();
}

// Of a tensor that has no memory, or none that DLPack can describe.
[[noreturn]] void RaiseNotLent(nb::handle tensor, const std::string& field) {
  const std::string device = AttributeText(tensor, "device");
  if (device != "cpu") {
    RaiseValueError(absl::StrCat(field, ": got a tensor on ", device, ", want one on the CPU"));
  }
  RaiseTypeError(absl::StrCat(field, ": got a tensor of ", AttributeText(tensor, "layout"), " and ",
                              AttributeText(tensor, "dtype"), ", want a dense one of numbers"));
}

void RefuseGradient(nb::handle tensor, const std::string& field) {
  if (nb::cast<bool>(tensor.attr("requires_grad")) &&
      nb::cast<bool>(Look(known_is_grad_enabled, "torch", "is_grad_enabled")())) {
    RaiseValueError(absl::StrCat(field,
                                 ": got a tensor that requires a gradient, want one without, or a "
                                 "call under torch.no_grad()"));
  }
}

// Of a tensor whose memory has the other signs, as the imaginary part of a conjugate may have.
void RefusePendingSigns(nb::handle tensor, const std::string& field) {
  if (nb::cast<bool>(tensor.attr("is_neg")())) {
    RaiseValueError(absl::StrCat(
        field, ": got a tensor whose signs are still to be flipped, want its resolve_neg()"));
  }
}

// Tensor.__dlpack__ is written in Python and takes microseconds; this does not. But it lets pass
// what nobody here computes a gradient for, and forgets about signs.
nb::object TensorCapsule(nb::handle tensor, const std::string& field) {
  RefuseGradient(tensor, field);
  RefusePendingSigns(tensor, field);
  const nb::handle to_dlpack = Look(known_to_dlpack, "torch.utils.dlpack", "to_dlpack");
  nb::object capsule = nb::steal(PyObject_CallOneArg(to_dlpack.ptr(), tensor.ptr()));
  if (!capsule.is_valid()) {
    PyErr_Clear();
    RaiseNotLent(tensor, field);
  }
  return capsule;
}

std::optional<DataType> TypeOf(const nb::dlpack::dtype& type) {
  if (type.lanes != 1) return std::nullopt;
  switch (static_cast<nb::dlpack::dtype_code>(type.code)) {
    case nb::dlpack::dtype_code::Float:
      if (type.bits == 32) return DataType::kF32;
      if (type.bits == 16) return DataType::kF16;
      if (type.bits == 64) return DataType::kF64;
      return std::nullopt;
    case nb::dlpack::dtype_code::Bfloat:
      if (type.bits == 16) return DataType::kBF16;
      return std::nullopt;
    case nb::dlpack::dtype_code::Bool:
      if (type.bits == 8) return DataType::kBool;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// An empty one if the object is no array, or cannot be accessed like this.
nb::ndarray<nb::ro> ImportMemory(nb::handle object, Access access) {
  if (access == Access::kRead) {
    nb::ndarray<nb::ro> memory;
    return nb::try_cast(object, memory, false) ? memory : nb::ndarray<nb::ro>();
  }
  nb::ndarray<> memory;
  if (!nb::try_cast(object, memory, false)) return {};
  return nb::ndarray<nb::ro>(memory.handle());
}

std::string DtypeText(nb::handle object) {
  const nb::object type = nb::getattr(object, "dtype", nb::none());
  return type.is_none() ? TypeNameOf(object) : nb::str(type).c_str();
}

// ml_dtypes registers one type of that name, but other objects may say the same. Swapped bytes have
// the name, too.
bool IsNumPyBfloat16(nb::handle object) {
  if (!IsNumPy(object)) return false;
  const nb::object type = object.attr("dtype");
  if (known_bfloat16.is_valid()) return type.is(known_bfloat16) || type.equal(known_bfloat16);
  if (nb::cast<std::string>(type.attr("name")) != "bfloat16") return false;
  if (!nb::cast<bool>(type.attr("isnative"))) return false;
  known_bfloat16 = nb::object(type).release();
  return true;
}

[[noreturn]] void RaiseOtherElements(nb::handle object, const std::string& field) {
  RaiseTypeError(absl::StrCat(field, ": got elements of ", DtypeText(object),
                              ", want float32, float16, bfloat16, float64 or (masks) bool"));
}

// Null if the object is no array, or cannot be accessed like this. Sets `type` where the memory
// does not say it.
nb::ndarray<nb::ro> Borrow(nb::handle object, const std::string& field, Access access,
                           std::optional<DataType>& type) {
  if (IsTensor(object)) return ImportMemory(TensorCapsule(object, field), access);
  if (!known_bfloat16.is_valid()) {  // most processes never meet one
    nb::ndarray<nb::ro> memory = ImportMemory(object, access);
    if (memory.is_valid()) return memory;
  }
  if (!IsNumPyBfloat16(object)) return ImportMemory(object, access);
  type = DataType::kBF16;
  return ImportMemory(object.attr("view")("uint16"), access);
}

// Of a NumPy array that DLPack cannot describe.
[[noreturn]] void RaiseNoElements(nb::handle array, const std::string& field) {
  const auto element_bytes = nb::cast<int64_t>(array.attr("itemsize"));
  Shape strides;
  for (const nb::handle stride : nb::cast<nb::tuple>(array.attr("strides"))) {
    strides.push_back(nb::cast<int64_t>(stride));
  }
  const bool whole = std::ranges::all_of(
      strides, [&](int64_t stride) { return element_bytes != 0 && stride % element_bytes == 0; });
  if (whole) RaiseOtherElements(array, field);
  RaiseValueError(absl::StrCat(field, ": got strides of ", ShapeText(strides),
                               " bytes, want multiples of an element's ", element_bytes));
}

[[noreturn]] void RaiseNotBorrowed(nb::handle object, const std::string& field, Access access) {
  std::optional<DataType> unused;
  if (access == Access::kWrite && !Borrow(object, field, Access::kRead, unused).is_valid()) {
    access = Access::kRead;
  }
  if (access == Access::kRead && IsNumPy(object)) RaiseNoElements(object, field);
  RaiseTypeError(absl::StrCat(field, ": got ", TypeNameOf(object),
                              access == Access::kWrite
                                  ? ", which is read-only, want a writable one"
                                  : ", want a NumPy array, a PyTorch tensor on the CPU or another "
                                    "object with __dlpack__"));
}

}  // namespace

std::string ShapeText(const Shape& extents) {
  return absl::StrCat("[", absl::StrJoin(extents, ", "), "]");
}

Array BorrowArray(nb::handle object, const std::string& field, Access access) {
  Array array;
  array.object = nb::borrow(object);
  std::optional<DataType> type;
  array.memory = Borrow(object, field, access, type);
  if (!array.memory.is_valid()) RaiseNotBorrowed(object, field, access);
  if (array.memory.device_type() != nb::device::cpu::value) {
    RaiseValueError(absl::StrCat(field, ": got an array on a device, want one on the CPU"));
  }
  if (!type.has_value()) type = TypeOf(array.memory.dtype());
  if (!type.has_value()) RaiseOtherElements(object, field);
  array.type = *type;
  for (size_t axis = 0; axis < array.memory.ndim(); ++axis) {
    array.extents.push_back(static_cast<int64_t>(array.memory.shape(axis)));
    array.strides.push_back(array.memory.stride(axis));
  }
  array.data = const_cast<void*>(array.memory.data());
  if (std::find(array.extents.begin(), array.extents.end(), 0) != array.extents.end()) {
    array.data = nothing;
    array.strides.assign(array.rank(), 1);  // NumPy's are of no meaning here
  }
  if (reinterpret_cast<uintptr_t>(array.data) % kernels::ElementBytes(array.type) != 0) {
    RaiseValueError(absl::StrCat(field, ": got an address that is not a multiple of ",
                                 kernels::ElementBytes(array.type), ", want an aligned array"));
  }
  return array;
}

Array MakeArrayLike(const Array& like, const Shape& extents) {
  return MakeArrayLike(like, extents, like.type);
}

Array MakeArrayLike(const Array& like, const Shape& extents, DataType type) {
  nb::list shape;
  for (const int64_t extent : extents) shape.append(extent);
  const bool same_type = type == like.type;
  nb::object made;
  if (IsTensor(like.object)) {
    const nb::object new_empty = like.object.attr("new_empty");
    made = same_type ? new_empty(shape)
                     : new_empty(shape, nb::arg("dtype") =
                                            nb::module_::import_("torch").attr(DtypeName(type)));
  } else if (IsNumPy(like.object) && same_type) {
    made = Look(known_numpy_empty, "numpy", "empty")(shape, like.object.attr("dtype"));
  } else {
    if (type == DataType::kBF16) {
      RaiseTypeError("output: NumPy has no elements of bfloat16: give `out`");
    }
    made = Look(known_numpy_empty, "numpy", "empty")(shape, DtypeName(type));
  }
  return BorrowArray(made, "output", Access::kWrite);
}

MutableTensorView ViewOf(const Array& array) {
  MutableTensorView view{array.data, array.type, {1, 1, 1, 1}, {0, 0, 0, 0}};
  const size_t first_axis = view.extents.size() - array.rank();
  for (size_t axis = 0; axis < array.rank(); ++axis) {
    view.extents[first_axis + axis] = array.extents[axis];
    view.strides[first_axis + axis] = array.strides[axis];
  }
  return view;
}

void RequireNoGradient(nb::handle object, const std::string& field) {
  if (IsTensor(object)) RefuseGradient(object, field);
}

MutableTensorView ColumnViewOf(Array array) {
  array.extents.push_back(1);
  array.strides.push_back(1);
  return ViewOf(array);
}

void RequireOwnPlaces(const Array& array, const std::string& field) {
  if (std::ranges::find(array.extents, 0) != array.extents.end()) return;
  absl::InlinedVector<size_t, 4> axes;  // the ones that step furthest last
  for (size_t axis = 0; axis < array.rank(); ++axis) {
    if (array.extents[axis] > 1) axes.push_back(axis);
  }
  std::ranges::sort(axes, {}, [&](size_t axis) { return std::abs(array.strides[axis]); });
  int64_t spanned = 1;  // elements from the first to the last of the axes so far
  for (const size_t axis : axes) {
    const int64_t step = std::abs(array.strides[axis]);
    if (step < spanned) {
      RaiseValueError(absl::StrCat(field, ": got a stride of ", array.strides[axis], " in axis ",
                                   axis, " (in elements), want at least ", spanned,
                                   ", so that each element has its own memory"));
    }
    spanned += (array.extents[axis] - 1) * step;
  }
}

bool MayOverlap(const TensorView& left, const TensorView& right) {
  const auto range = [](const TensorView& view) {
    const auto bytes = static_cast<int64_t>(kernels::ElementBytes(view.type));
    auto begin = static_cast<int64_t>(reinterpret_cast<uintptr_t>(view.data));
    int64_t end = begin + bytes;
    for (size_t axis = 0; axis < view.extents.size(); ++axis) {
      const int64_t reach = (view.extents[axis] - 1) * view.strides[axis] * bytes;
      (reach < 0 ? begin : end) += reach;
    }
    return std::pair(begin, end);
  };
  if (kernels::ElementCount(left.extents) == 0 || kernels::ElementCount(right.extents) == 0) {
    return false;
  }
  const auto [left_begin, left_end] = range(left);
  const auto [right_begin, right_end] = range(right);
  return left_begin < right_end && right_begin < left_end;
}

}  // namespace attention::python
