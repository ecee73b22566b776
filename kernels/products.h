// What the matrix products of attention and projections are made of: f32 operands, or BF16 parts of
// them.

#ifndef ATTENTION_KERNELS_PRODUCTS_H_
#define ATTENTION_KERNELS_PRODUCTS_H_

#include <string_view>

#include "kernels/attend.h"

namespace attention::kernels {

struct Products {
  std::string_view name;  // as reports have it
  bool bf16;              // or f32
  int part_count;         // of each operand
  int product_count;      // of parts, that are summed

  [[nodiscard]] constexpr bool split() const { return part_count > 1; }
};

inline constexpr Products kF32Products = {"f32", false, 1, 1};
inline constexpr Products kBF16Products = {"bf16", true, 1, 1};
inline constexpr Products kBF16X3Products = {"bf16_x3", true, 2, 3};
inline constexpr Products kBF16X6Products = {"bf16_x6", true, 3, 6};

// Whether the processor, as capped, multiplies on tile registers; else on vector units.
[[nodiscard]] bool UsesTileRegisters(const Products& products);

// For operands of a type other than F64, as far as the processor, as capped, multiplies BF16.
// For kF32GradeFastest whatever is faster at the moment.
[[nodiscard]] const Products& ChooseProducts(DataType type, Precision precision);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PRODUCTS_H_
