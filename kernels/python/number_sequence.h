// Short rows of numbers from Python: lists, arrays, tensors, or whatever else yields numbers.

#ifndef ATTENTION_KERNELS_PYTHON_NUMBER_SEQUENCE_H_
#define ATTENTION_KERNELS_PYTHON_NUMBER_SEQUENCE_H_

#include <nanobind/nanobind.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace attention::python {

// None, or what `sequence` yields; `field` names it in errors. Raises TypeError for what yields
// nothing, or anything but integers, and ValueError for an integer of more than 64 bits.
[[nodiscard]] std::optional<std::vector<int64_t>> Integers(nanobind::handle sequence,
                                                           const char* field);

// The same for numbers; ValueError for one beyond float64. A tensor that requires a gradient is
// refused as BorrowArray does.
[[nodiscard]] std::optional<std::vector<double>> Numbers(nanobind::handle sequence,
                                                         const char* field);

}  // namespace attention::python

#endif  // ATTENTION_KERNELS_PYTHON_NUMBER_SEQUENCE_H_
