#include "kernels/python/status_error.h"

#include <nanobind/nanobind.h>

namespace attention::python {
namespace {

[[noreturn]] void Raise(PyObject* exception, const std::string& sentence) {
  PyErr_SetString(exception, sentence.c_str());
  throw nanobind::python_error();
}

}  // namespace

void RaiseUnlessOk(const absl::Status& status) {
  if (status.ok()) return;
  const std::string sentence(status.message());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      Raise(PyExc_ValueError, sentence);
    case absl::StatusCode::kUnimplemented:
      Raise(PyExc_NotImplementedError, sentence);
    default:
      Raise(PyExc_RuntimeError, sentence);
  }
}

void RaiseValueError(const std::string& sentence) { Raise(PyExc_ValueError, sentence); }
void RaiseTypeError(const std::string& sentence) { Raise(PyExc_TypeError, sentence); }

}  // namespace attention::python
