// The numbers that the oracle computes from, in float64: read, and turned by the rotary embedding.

#ifndef ATTENTION_KERNELS_REFERENCE_REFERENCE_OPERANDS_H_
#define ATTENTION_KERNELS_REFERENCE_REFERENCE_OPERANDS_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

// Element (batch, head, row, column) of a view of any type.
[[nodiscard]] double ReferenceElement(const TensorView& view, int64_t batch, int64_t head,
                                      int64_t row, int64_t column);

// Row (batch, head, row).
[[nodiscard]] std::vector<double> ReferenceRow(const TensorView& view, int64_t batch, int64_t head,
                                               int64_t row);

// `value` in the nearest number of the type, ties to even.
[[nodiscard]] double ReferenceRounding(DataType type, double value);

// The position of a query among the keys, clamped to 64 bits.
[[nodiscard]] int64_t ReferencePosition(const AttentionProblem& problem, int64_t batch,
                                        int64_t query);

// Query `query` and key `key` as they meet: turned if the problem has a rotary embedding.
[[nodiscard]] std::vector<double> ReferenceQuery(const AttentionProblem& problem, int64_t batch,
                                                 int64_t head, int64_t query);
[[nodiscard]] std::vector<double> ReferenceKey(const AttentionProblem& problem, int64_t batch,
                                               int64_t key_value_head, int64_t key);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_REFERENCE_REFERENCE_OPERANDS_H_
