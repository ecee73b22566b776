// Which keys a query sees: the meaning of positions, causality, the window and lengths, in one
// place.

#ifndef ATTENTION_KERNELS_VISIBILITY_H_
#define ATTENTION_KERNELS_VISIBILITY_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/attend.h"

namespace attention::kernels {

[[nodiscard]] inline int64_t SaturatingAdd(int64_t a, int64_t b) {
  int64_t sum;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b > 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}

[[nodiscard]] inline int64_t SaturatingSubtract(int64_t a, int64_t b) {
  int64_t difference;
  if (!__builtin_sub_overflow(a, b, &difference)) return difference;
  return b < 0 ? std::numeric_limits<int64_t>::max() : std::numeric_limits<int64_t>::min();
}

// The position of a query among the keys.
[[nodiscard]] inline int64_t QueryPosition(const AttentionProblem& problem, int64_t batch,
                                           int64_t query) {
  const int64_t offset = problem.query_offsets.empty()
                             ? problem.query_offset
                             : problem.query_offsets[static_cast<size_t>(batch)];
  return SaturatingAdd(offset, query);
}

// Keys [begin, end).
struct KeyRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// The least range that contains both; an empty one adds nothing.
[[nodiscard]] inline KeyRange Union(const KeyRange& a, const KeyRange& b) {
  if (a.begin == a.end) return b;
  if (b.begin == b.end) return a;
  return {.begin = std::min(a.begin, b.begin), .end = std::max(a.end, b.end)};
}

// What a query sees as far as causality, prefixes, the window and lengths say. Empty ranges have
// begin = end. With growing `query`, neither end moves back.
[[nodiscard]] inline KeyRange VisibleKeys(const AttentionProblem& problem, int64_t batch,
                                          int64_t query) {
  const auto entry = static_cast<size_t>(batch);
  const int64_t position = QueryPosition(problem, batch, query);
  KeyRange keys = {0, problem.key.extents[2]};
  if (!problem.key_lengths.empty()) keys.end = std::min(keys.end, problem.key_lengths[entry]);
  if (problem.causal) {
    int64_t end = SaturatingAdd(position, 1);
    if (!problem.prefix_lengths.empty()) end = std::max(end, problem.prefix_lengths[entry]);
    keys.end = std::min(keys.end, std::max<int64_t>(end, 0));
  }
  if (problem.right_window.has_value()) {
    const int64_t end = SaturatingAdd(SaturatingAdd(position, *problem.right_window), 1);
    keys.end = std::min(keys.end, std::max<int64_t>(end, 0));
  }
  if (problem.left_window.has_value()) {
    const int64_t begin = SaturatingSubtract(position, *problem.left_window);
    keys.begin = std::clamp<int64_t>(begin, 0, keys.end);
  }
  return keys;
}

// The sum over the queries of a batch entry of the keys that VisibleKeys lets them see. Takes the
// same time for any number of queries. A double, since it must not overflow.
[[nodiscard]] double CountVisiblePairs(const AttentionProblem& problem, int64_t batch);

// Where element (batch, head, query, key) of a mask lies, in elements from its data.
[[nodiscard]] inline int64_t MaskOffset(const TensorView& mask, int64_t batch, int64_t head,
                                        int64_t query, int64_t key) {
  return batch * mask.strides[0] + head * mask.strides[1] + query * mask.strides[2] +
         key * mask.strides[3];
}

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_VISIBILITY_H_
