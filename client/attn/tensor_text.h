// What tables of tensors with more than two axes share.

#ifndef ATTENTION_CLIENT_ATTN_TENSOR_TEXT_H_
#define ATTENTION_CLIENT_ATTN_TENSOR_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "client/tensor.h"

namespace attention::client {

// "weights[0][1]": the matrix at `index` of those that the axes before the last two number.
[[nodiscard]] std::string MatrixTitle(std::string title, const Shape& shape, size_t index);

// The labels where there are as many as rows, otherwise numbers.
[[nodiscard]] std::vector<std::string> FittingLabels(const std::vector<std::string>& labels,
                                                     int64_t count);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_TENSOR_TEXT_H_
