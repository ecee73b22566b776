// Short ways to write request messages.

#ifndef ATTENTION_TESTS_SERVER_CODEC_MESSAGES_H_
#define ATTENTION_TESTS_SERVER_CODEC_MESSAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "attention/v1/attention_service.pb.h"

namespace attention::test {

// Zeros in `raw`.
inline v1::Tensor Zeros(const std::vector<int64_t>& shape, v1::DataType type = v1::DATA_TYPE_F32) {
  static constexpr size_t kElementBytes[] = {4, 4, 2, 2, 8, 1, 4, 8};
  size_t bytes = kElementBytes[type];
  v1::Tensor tensor;
  tensor.set_data_type(type);
  for (const int64_t extent : shape) {
    tensor.add_shape(extent);
    bytes *= static_cast<size_t>(extent);
  }
  tensor.set_raw(std::string(bytes, '\0'));
  return tensor;
}

inline v1::Tensor Floats(const std::vector<int64_t>& shape, const std::vector<float>& numbers,
                         v1::DataType type = v1::DATA_TYPE_F32) {
  v1::Tensor tensor;
  tensor.set_data_type(type);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  tensor.mutable_floats()->Assign(numbers.begin(), numbers.end());
  return tensor;
}

// The elements' bytes as they lie in memory.
template <typename Element>
v1::Tensor Raw(const std::vector<int64_t>& shape, const std::vector<Element>& elements,
               v1::DataType type) {
  v1::Tensor tensor;
  tensor.set_data_type(type);
  tensor.mutable_shape()->Assign(shape.begin(), shape.end());
  tensor.set_raw(elements.data(), elements.size() * sizeof(Element));
  return tensor;
}

// A projection of zeros, with a bias if asked for.
inline v1::Projection ZeroProjection(int64_t input_width, int64_t output_width, bool bias = false,
                                     v1::DataType type = v1::DATA_TYPE_F32) {
  v1::Projection projection;
  *projection.mutable_weight() = Zeros({input_width, output_width}, type);
  if (bias) *projection.mutable_bias() = Zeros({output_width}, type);
  return projection;
}

}  // namespace attention::test

#endif  // ATTENTION_TESTS_SERVER_CODEC_MESSAGES_H_
