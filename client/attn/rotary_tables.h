// Cosines and sines of a rotary embedding, for who has no tables of a model at hand.
//
//   angle(position, k) = position * base^(-2 k / width),   k = 0 .. width / 2 - 1
//
// Source: Su et al., "RoFormer" (2021).

#ifndef ATTENTION_CLIENT_ATTN_ROTARY_TABLES_H_
#define ATTENTION_CLIENT_ATTN_ROTARY_TABLES_H_

#include <cstdint>
#include <vector>

namespace attention::client {

// [positions, width / 2] each, row by row.
struct RotaryTables {
  std::vector<double> cos;
  std::vector<double> sin;
};

[[nodiscard]] RotaryTables MakeRotaryTables(int64_t position_count, int64_t width, double base);

}  // namespace attention::client

#endif  // ATTENTION_CLIENT_ATTN_ROTARY_TABLES_H_
