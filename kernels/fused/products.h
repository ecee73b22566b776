// What a matrix product of the fused kernels is made of: f32 operands, or BF16 parts of them.

#ifndef ATTENTION_KERNELS_FUSED_PRODUCTS_H_
#define ATTENTION_KERNELS_FUSED_PRODUCTS_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/attend.h"
#include "kernels/onednn/matrix_kernel.h"

namespace attention::kernels {

// Which parts of the left and the right operand are multiplied with each other.
struct PartPair {
  int left;
  int right;
};

// Parts are numbered from the most significant one. Pairs are summed in this order.
struct Products {
  std::string_view name;  // as in AttentionReport::precision
  MatrixType type;
  int part_count;  // of each operand
  std::span<const PartPair> pairs;
};

inline constexpr std::array<PartPair, 6> kPartPairs = {
    {{0, 0}, {0, 1}, {1, 0}, {0, 2}, {2, 0}, {1, 1}}};

inline constexpr Products kF32Products = {"f32", MatrixType::kF32, 1,
                                          std::span(kPartPairs).first<1>()};
inline constexpr Products kBF16Products = {"bf16", MatrixType::kBF16, 1,
                                           std::span(kPartPairs).first<1>()};
inline constexpr Products kBF16X3Products = {"bf16_x3", MatrixType::kBF16, 2,
                                             std::span(kPartPairs).first<3>()};
inline constexpr Products kBF16X6Products = {"bf16_x6", MatrixType::kBF16, 3,
                                             std::span(kPartPairs).first<6>()};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_PRODUCTS_H_
