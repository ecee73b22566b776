// From statuses to Python's exceptions. Only this module throws in this project, because this is
// how an extension reports an error to the interpreter.

#ifndef ATTENTION_KERNELS_PYTHON_STATUS_ERROR_H_
#define ATTENTION_KERNELS_PYTHON_STATUS_ERROR_H_

#include <string>

#include "absl/status/status.h"

namespace attention::python {

// Does nothing for OK. Otherwise raises, with the status's own sentence, ValueError for
// kInvalidArgument, NotImplementedError for kUnimplemented and RuntimeError for the rest.
void RaiseUnlessOk(const absl::Status& status);

[[noreturn]] void RaiseValueError(const std::string& sentence);
[[noreturn]] void RaiseTypeError(const std::string& sentence);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_STATUS_ERROR_H_
