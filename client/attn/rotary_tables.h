// Cosines and sines of a rotary embedding, for who has no tables of a model at hand.
//
//   angle(position, k) = position * base^(-2 k / width),   k = 0 .. width / 2 - 1
//
// Source: Su et al., "RoFormer" (2021).

#ifndef ATTENTION_CLIENT_ATTN_ROTARY_TABLES_H_
#define ATTENTION_CLIENT_ATTN_ROTARY_TABLES_H_

#include <cstdint>
#include <span>
#include <vector>

namespace attention::client {

// [positions, width / 2] each, row by row in the order of the positions.
struct RotaryTables {
  std::vector<double> cos;
  std::vector<double> sin;
};

[[nodiscard]] RotaryTables MakeRotaryTables(std::span<const int64_t> positions, int64_t width,
                                            double base);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ROTARY_TABLES_H_
