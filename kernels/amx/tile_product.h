// Products of matrices in BF16 on AMX tile registers, the operands whole or split into parts.
//
//   sums[row][column] (+)= sum over pairs of parts, sum over k of rows[row][k] * panel[k][column]
//
// A kernel of our own beside oneDNN's: of split operands it loads each part of a block no more
// often than the registers make it, 14 loads for the 24 multiplications of six products instead of
// 24, which matters most where tile registers are loaded slowly; and nothing is generated at run
// time.
//
// Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter on AMX.

#ifndef ATTENTION_KERNELS_AMX_TILE_PRODUCT_H_
#define ATTENTION_KERNELS_AMX_TILE_PRODUCT_H_

#include <cstdint>

namespace attention::kernels {

// A tile register holds 16 rows of 32 BF16 numbers, or of 16 sums. Operands are made of blocks that
// fill one along k.
inline constexpr int64_t kTileRegisterRows = 16;
inline constexpr int64_t kTileRegisterColumns = 16;
inline constexpr int64_t kBlockInnerCount = 32;

// Strides are in elements of 16 bits.
struct TileOperand {
  const uint16_t* data = nullptr;
  int64_t row_stride = 0;    // of the left operand's rows; of the panel's rows of pairs
  int64_t block_stride = 0;  // from one block of kBlockInnerCount to the next
  int64_t part_stride = 0;   // from one part to the next
};

struct TileProduct {
  // 1; or 3, of two parts of each operand; or 6, of three parts.
  int product_count = 1;
  TileOperand rows;          // [row][k]
  TileOperand panel;         // [pair of k][column][2]
  int64_t row_count = 0;     // a multiple of kTileRegisterRows
  int64_t column_count = 0;  // a multiple of kTileRegisterColumns
  int64_t block_count = 0;
  bool accumulate = false;
  float* sums = nullptr;
  int64_t sums_stride = 0;  // elements from one row to the next
};

// Only where EffectiveInstructionLevel() has been found to be kAvx512Amx, and within a
// TileRegisterScope of the calling thread. Thread safety: reentrant. Allocation: none.
void Multiply(const TileProduct& product);

// Inside, the thread's tile registers are configured for Multiply; at the end they are released, so
// that idle threads hold no tile state. Does nothing unless `needed`.
class TileRegisterScope {
 public:
  explicit TileRegisterScope(bool needed);
  ~TileRegisterScope();
  TileRegisterScope(const TileRegisterScope&) = delete;
  TileRegisterScope& operator=(const TileRegisterScope&) = delete;

 private:
  const bool needed_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_AMX_TILE_PRODUCT_H_
