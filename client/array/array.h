// A dense row-major array of numbers as files hold them, before a data type is chosen.

#ifndef ATTENTION_CLIENT_ARRAY_ARRAY_H_
#define ATTENTION_CLIENT_ARRAY_ARRAY_H_

#include <cstddef>
#include <vector>

#include "client/tensor.h"

namespace attention::client {

// Readers accept no more axes and no more elements than this. A tensor of the service has at most 4
// axes.
inline constexpr size_t kMaxAxes = 4;
inline constexpr int64_t kMaxElements = int64_t{1} << 28;

// numbers.size() is the product of shape.
struct Array {
  Shape shape = {};
  std::vector<double> numbers = {};

  bool operator==(const Array&) const = default;
};

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ARRAY_ARRAY_H_
