#include "kernels/python/number_sequence.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "kernels/python/array.h"
#include "kernels/python/status_error.h"

namespace attention::python {
namespace {

namespace nb = nanobind;

// What is wrong with the element at `index`.
struct Complaint {
  const char* field;
  size_t index;
  std::string got;
  const char* want;

  [[nodiscard]] std::string Sentence() const {
    return absl::StrCat(field, "[", index, "]: got ", got, ", want ", want);
  }
};

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
    const nb::object integer = nb::steal(PyNumber_Index(element.ptr()));
    if (!integer.is_valid()) {
      PyErr_Clear();
      RaiseTypeError(
          Complaint{field, integers.size(), TypeNameOf(element), "an integer"}.Sentence());
    }
    integers.push_back(PyLong_AsLongLong(integer.ptr()));
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      RaiseValueError(
          Complaint{field, integers.size() - 1, "an integer of more than 64 bits", "one that fits"}
              .Sentence());
    }
  }
  return integers;
}

std::optional<std::vector<double>> Numbers(nb::handle sequence, const char* field) {
  if (sequence.is_none()) return std::nullopt;
  RequireNoGradient(sequence, field);
  const nb::object iterator = Iterator(sequence, field, "numbers");
  std::vector<double> numbers;
  for (const nb::handle element : nb::iter(iterator)) {
    numbers.push_back(PyFloat_AsDouble(element.ptr()));
    if (PyErr_Occurred() != nullptr) {
      PyErr_Clear();
      RaiseTypeError(
          Complaint{field, numbers.size() - 1, TypeNameOf(element), "a number"}.Sentence());
    }
  }
  return numbers;
}

}  // namespace attention::python
