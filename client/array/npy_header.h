// The header of a .npy file: a Python dictionary literal, of which only the form that matters is
// understood.

#ifndef ATTENTION_CLIENT_ARRAY_NPY_HEADER_H_
#define ATTENTION_CLIENT_ARRAY_NPY_HEADER_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "client/tensor.h"

namespace attention::client {

struct NpyHeader {
  std::string descr;  // "<f4"
  bool fortran_order = false;
  Shape shape;
};

// Parses "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }" and the blanks after it;
// keys in any order, each exactly once. INVALID_ARGUMENT for anything else, for more than kMaxAxes
// axes and for extents over 2^62.
[[nodiscard]] absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view text);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_NPY_HEADER_H_
