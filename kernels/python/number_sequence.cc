#include "kernels/python/number_sequence.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/python/array.h"
#include "kernels/python/integer_argument.h"
#include "kernels/python/status_error.h"

namespace attention::python {
namespace {

namespace nb = nanobind;

std::string ElementName(const char* field, size_t index) {
  return absl::StrCat(field, "[", index, "]");
}

nb::object Iterator(nb::handle sequence, const char* field, const char* elements) {
  nb::object iterator = nb::steal(PyObject_GetIter(sequence.ptr()));
  if (iterator.is_valid()) return iterator;
  PyErr_Clear();
  RaiseTypeError(
      absl::StrCat(field, ": got ", TypeNameOf(sequence), ", want a sequence of ", elements));
}

}  // namespace

std::optional<std::vector<int64_t>> Integers(nb::handle sequence, const char* field) {
  if (sequence.is_none()) return std::nullopt;
  const nb::object iterator = Iterator(sequence, field, "integers");
  std::vector<int64_t> integers;
  for (const nb::handle element : nb::iter(iterator)) {
    const std::string name = ElementName(field, integers.size());
    IntegerArgument integer;
    if (!integer.Load(element)) {
      RaiseTypeError(absl::StrCat(name, ": got ", TypeNameOf(element), ", want an integer"));
    }
    integers.push_back(integer.In64Bits(name));
  }
  return integers;
}

std::optional<std::vector<double>> Numbers(nb::handle sequence, const char* field) {
  if (sequence.is_none()) return std::nullopt;
  RequireNoGradient(sequence, field);
  const nb::object iterator = Iterator(sequence, field, "numbers");
  std::vector<double> numbers;
  for (const nb::handle element : nb::iter(iterator)) {
    const double number = PyFloat_AsDouble(element.ptr());
    if (PyErr_Occurred() != nullptr) {
      const bool too_large = PyErr_ExceptionMatches(PyExc_OverflowError) != 0;
      PyErr_Clear();
      const std::string name = ElementName(field, numbers.size());
      if (too_large) {
        RaiseValueError(absl::StrCat(name, ": got a number beyond float64, want one that fits"));
      }
      RaiseTypeError(absl::StrCat(name, ": got ", TypeNameOf(element), ", want a number"));
    }
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace attention::python
