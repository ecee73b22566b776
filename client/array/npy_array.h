// Arrays in NumPy's .npy format, versions 1.0, 2.0 and 3.0.
// Source: the NEP 1 specification, numpy.lib.format.
//
// Read: little-endian arrays of f2, f4, f8, b1, i4 and i8 with 1 to kMaxAxes axes, in C or Fortran
// order. i8 values beyond 2^53 are refused, as a double cannot hold them. The reader is strict: the
// header must be one dictionary with exactly the keys descr, fortran_order and shape, and the data
// must be exactly as long as they say.

#ifndef ATTENTION_CLIENT_ARRAY_NPY_ARRAY_H_
#define ATTENTION_CLIENT_ARRAY_NPY_ARRAY_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/array/array.h"
#include "client/tensor.h"

namespace attention::client {

// Whether the bytes start like a .npy file.
[[nodiscard]] bool LooksLikeNpy(std::string_view bytes);

// INVALID_ARGUMENT, saying what is wrong, for anything that is not described above. Allocates
// nothing before the header's claims agree with the number of bytes at hand and have no more
// elements than allowed.
[[nodiscard]] absl::StatusOr<Array> ParseNpyArray(std::string_view bytes,
                                                  int64_t max_element_count = kMaxElements);

// A version 1.0 file. F16, F32, F64, BOOL, INT32 and INT64 keep their type; BF16, which NumPy
// lacks, is widened to f4 without loss.
[[nodiscard]] std::string ToNpy(const TensorValue& tensor);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_NPY_ARRAY_H_
