// A dense row-major array of numbers as files hold them, before a data type is chosen.

#ifndef ATTENTION_CLIENT_ARRAY_ARRAY_H_
#define ATTENTION_CLIENT_ARRAY_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "client/tensor.h"

namespace attention::client {

// Readers accept no more axes than this: all that a tensor of the service can have.
inline constexpr size_t kMaxAxes = 4;

// Of one file, where nothing smaller is asked for; four times what the largest message of the
// service holds as F32.
inline constexpr int64_t kMaxElements = int64_t{1} << 28;

// numbers.size() is the product of shape.
struct Array {
  Shape shape = {};
  std::vector<double> numbers = {};

  bool operator==(const Array&) const = default;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_ARRAY_H_
