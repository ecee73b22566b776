// Sums of a few weighted rows, in float64 and rounded once.
//
// Free functions on raw arrays, compiled for several instruction sets. Thread safety: reentrant.
// Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_WEIGHTED_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_WEIGHTED_ROWS_H_

#include <cstdint>
#include <span>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// One row of those that are summed.
struct WeightedRow {
  const void* numbers = nullptr;
  double weight = 0;
};

// output[i] = sum over rows, in order, of weight * numbers[i], for i in [0, width). Of at least one
// row; all of one floating point type, the output's too. A single row of weight 1 is copied,
// exactly.
void SumWeightedRows(std::span<const WeightedRow> rows, DataType type, int64_t width, void* output);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_WEIGHTED_ROWS_H_
