// Rows of keys and values rearranged for the matrix kernels.
//
// Free functions on raw arrays, compiled for several instruction sets. Thread safety: reentrant.
// Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_PACK_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_PACK_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/tensor_view.h"

namespace attention::kernels {

// Up to 16 rows of 32-bit words; `data` need not be aligned.
struct WordRows {
  const std::byte* data = nullptr;
  int64_t stride_bytes = 0;
  int64_t row_count = 0;
};

// destination[word * destination_stride + row] = source[row][word] for 16 rows, those beyond the
// last of the source being zeros.
void TransposeWords(const WordRows& source, int64_t word_count, uint32_t* destination,
                    int64_t destination_stride);

// Copies numbers as f32, with 0 in place of what is not finite. Returns whether all were finite.
[[nodiscard]] bool CopyFiniteToF32(DataType type, const void* source, int64_t count,
                                   float* destination);

// destination[2 * i] = even[i], destination[2 * i + 1] = odd[i] for BF16 numbers, with 0 in place
// of what is not finite, and for a row that is null. Returns whether all were finite.
[[nodiscard]] bool InterleaveFiniteBF16(const uint16_t* even, const uint16_t* odd, int64_t count,
                                        uint16_t* destination);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_PACK_ROWS_H_
