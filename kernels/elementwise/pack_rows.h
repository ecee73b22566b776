// Rows of keys and values rearranged for the matrix kernels.
//
// Free functions on raw arrays, compiled for several instruction sets. Thread safety: reentrant.
// Allocation: none.

#ifndef ATTENTION_KERNELS_ELEMENTWISE_PACK_ROWS_H_
#define ATTENTION_KERNELS_ELEMENTWISE_PACK_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/elementwise/number_rows.h"

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
[[nodiscard]] bool CopyFiniteToF32(const NumberRows& source, float* destination,
                                   int64_t destination_stride);

// Interleaves the rows of BF16 numbers i and i + 16 of each 32: they become row i / 32 * 16 + i %
// 16 of the destination, 2 * `destination_stride` numbers each, with 0 in place of what is not
// finite and of rows beyond the last, up to a multiple of 32. Returns whether all were finite.
[[nodiscard]] bool InterleaveFiniteBF16(const NumberRows& source, uint16_t* destination,
                                        int64_t destination_stride);

// destination[2 * i] = even[i], destination[2 * i + 1] = odd[i] for finite BF16 numbers; 0 for a
// row that is null.
void InterleaveBF16(const uint16_t* even, const uint16_t* odd, int64_t count,
                    uint16_t* destination);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ELEMENTWISE_PACK_ROWS_H_
