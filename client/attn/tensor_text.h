// What tables of tensors with more than two axes share.

#ifndef ATTENTION_CLIENT_ATTN_TENSOR_TEXT_H_
#define ATTENTION_CLIENT_ATTN_TENSOR_TEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "client/tensor.h"
#include "client/terminal/labelled_matrix.h"

namespace attention::client {

// What the axes before the last two number, outermost first. A tensor without a batch, or of one
// head, lacks the first or both.
using MatrixAxes = std::array<std::string_view, 2>;
inline constexpr MatrixAxes kHeadMatrices = {"sequence", "head"};
inline constexpr MatrixAxes kQueryMatrices = {"sequence", "query"};  // whose rows are heads
inline constexpr MatrixAxes kSequenceMatrices = {"", "sequence"};    // heads share the last axis

// "weights, sequence 0, head 1": the matrix at `index` of those that the axes before the last two
// number. An axis of extent 1 needs no name.
[[nodiscard]] std::string MatrixTitle(std::string title, const MatrixAxes& axes, const Shape& shape,
                                      size_t index);

// "60 x 60; --full shows all" as a line, if not all of a matrix of these extents is shown; empty
// otherwise.
[[nodiscard]] std::string CutNote(size_t row_count, size_t column_count, const ShownCounts& shown);

// The labels where there are as many as rows, otherwise numbers.
[[nodiscard]] std::vector<std::string> FittingLabels(const std::vector<std::string>& labels,
                                                     int64_t count);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_TENSOR_TEXT_H_
