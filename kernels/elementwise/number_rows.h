// Rows of numbers as they lie in somebody's memory.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_NUMBER_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_NUMBER_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// F32, F16 or BF16; `data` need not be aligned.
struct NumberRows {
  DataType type = DataType::kF32;
  const std::byte* data = nullptr;
  int64_t stride_bytes = 0;
  int64_t row_count = 0;
  int64_t width = 0;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_NUMBER_ROWS_H_
