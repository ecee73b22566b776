// Integers that stay at the largest instead of overflowing.

#ifndef ATTENTION_SERVER_CORE_SATURATING_H_
#define ATTENTION_SERVER_CORE_SATURATING_H_

#include <cstdint>
#include <initializer_list>
#include <limits>

namespace attention::server {

// The product of extents >= 0, or the largest int64_t if that is smaller. An extent of 0 makes it
// 0, whatever the others are.
[[nodiscard]] inline int64_t SaturatingProduct(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  bool saturated = false;
  for (const int64_t factor : factors) {
    if (factor == 0) return 0;
    if (__builtin_mul_overflow(product, factor, &product)) {
      product = 1;
      saturated = true;
    }
  }
  return saturated ? std::numeric_limits<int64_t>::max() : product;
}

// The sum of terms >= 0, or the largest int64_t if that is smaller.
[[nodiscard]] inline int64_t SaturatingSum(std::initializer_list<int64_t> terms) {
  int64_t sum = 0;
  for (const int64_t term : terms) {
    if (__builtin_add_overflow(sum, term, &sum)) return std::numeric_limits<int64_t>::max();
  }
  return sum;
}

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_SATURATING_H_
