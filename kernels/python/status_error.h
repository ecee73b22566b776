// From statuses to Python's exceptions. Only this module throws in this project, because this is
// how an extension reports an error to the interpreter.

#ifndef ATTENTION_KERNELS_PYTHON_STATUS_ERROR_H_
#define ATTENTION_KERNELS_PYTHON_STATUS_ERROR_H_

#include <nanobind/nanobind.h>

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "kernels/tensor_view.h"

namespace attention::python {

// The name that NumPy and PyTorch have for an element type: "float32".
[[nodiscard]] const char* DtypeName(kernels::DataType type);

// "float"
[[nodiscard]] std::string TypeNameOf(nanobind::handle object);

// Does nothing for OK. Otherwise raises ValueError for kInvalidArgument, NotImplementedError for
// kUnimplemented and RuntimeError for the rest, with the status's own sentence in Python's terms:
// "key.extents[3]: got 8" is "key.shape[1]: got 8" of a key with `rank` = 2 axes, F32 is float32,
// `output` is the argument `out`, and `input`, of rotary embeddings, the argument `rows`.
void RaiseUnlessOk(const absl::Status& status, size_t rank = 4);

[[noreturn]] void RaiseValueError(const std::string& sentence);
[[noreturn]] void RaiseTypeError(const std::string& sentence);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_STATUS_ERROR_H_
