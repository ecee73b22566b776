// Integers as Python has them, of any size: what does not fit is a wrong value and no wrong type.

#ifndef ATTENTION_KERNELS_PYTHON_INTEGER_ARGUMENT_H_
#define ATTENTION_KERNELS_PYTHON_INTEGER_ARGUMENT_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "kernels/python/status_error.h"

namespace attention::python {

// A parameter of a bound function.
class IntegerArgument {
 public:
  // Returns whether the object is an integer.
  bool Load(nanobind::handle object) noexcept {
    const nanobind::object integer = nanobind::steal(PyNumber_Index(object.ptr()));
    if (!integer.is_valid()) {
      PyErr_Clear();
      return false;
    }
    int overflow = 0;
    value_ = PyLong_AsLongLongAndOverflow(integer.ptr(), &overflow);
    fits_ = overflow == 0;
    return true;
  }

  // Raises ValueError if it does not fit; `field` names it.
  [[nodiscard]] int64_t In64Bits(absl::string_view field) const {
    if (!fits_) {
      RaiseValueError(
          absl::StrCat(field, ": got an integer of more than 64 bits, want one that fits"));
    }
    return value_;
  }

 private:
  int64_t value_ = 0;
  bool fits_ = true;
};

inline std::optional<int64_t> In64Bits(const std::optional<IntegerArgument>& argument,
                                       absl::string_view field) {
  if (!argument.has_value()) return std::nullopt;
  return argument->In64Bits(field);
}

}  // namespace attention::python

namespace nanobind::detail {

template <>
struct type_caster<attention::python::IntegerArgument> {
  NB_TYPE_CASTER(attention::python::IntegerArgument, const_name("int"))
  bool from_python(handle source, uint8_t /*flags*/, cleanup_list* /*cleanup*/) noexcept {
    return value.Load(source);
  }
};

}  // namespace nanobind::detail

#endif  // ATTENTION_KERNELS_PYTHON_INTEGER_ARGUMENT_H_
