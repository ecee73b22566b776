// The product of a tile of input rows and a panel of a weight in BF16, on AMX tile registers.
//
//   sums[row][column] (+)= sum over pairs of parts, sum over k of rows[row][k] * panel[k][column]
//
// Operands as kernels/elementwise/projection_rows.h describes them. A kernel of our own beside
// oneDNN's, as it loads each part of a block no more often than the registers make it: 14 loads for
// the 24 multiplications of six products, instead of 24.
//
// Source: Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter on AMX.

#ifndef ATTENTION_KERNELS_PROJECTION_BF16_TILE_PRODUCT_H_
#define ATTENTION_KERNELS_PROJECTION_BF16_TILE_PRODUCT_H_

#include <cstdint>

#include "kernels/projection/projection_plan.h"

namespace attention::kernels {

// The height of a tile register.
inline constexpr int64_t kTileRegisterRows = 16;

// Sums have rows of column_count.
struct BF16TileProduct {
  ProductKind kind = ProductKind::kBF16;  // or kBF16X3 or kBF16X6
  const uint16_t* rows = nullptr;
  int64_t row_count = 0;  // a multiple of kTileRegisterRows
  const uint16_t* panel = nullptr;
  int64_t column_count = 0;  // a multiple of 16
  int64_t block_count = 0;
  bool accumulate = false;
  float* sums = nullptr;
};

// Only where EffectiveInstructionLevel() has been found to be kAvx512Amx, and within a
// TileRegisterScope of the calling thread. Thread safety: reentrant. Allocation: none.
void MultiplyTile(const BF16TileProduct& product);

// Inside, the thread's tile registers are configured for MultiplyTile; at the end they are
// released, so that idle threads hold no tile state. Does nothing where there are none.
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

#endif  // ATTENTION_KERNELS_PROJECTION_BF16_TILE_PRODUCT_H_
