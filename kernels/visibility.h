// Which keys a query sees: the meaning of causal_offset, key_lengths and masks, in one place.

#ifndef ATTENTION_KERNELS_VISIBILITY_H_
#define ATTENTION_KERNELS_VISIBILITY_H_

#include <algorithm>
#include <cstdint>
#include <limits>

#include "kernels/attend.h"

namespace attention::kernels {

// Keys [0, VisibleKeyCount) are seen by `query` of `batch` as far as causal_offset and key_lengths
// say.
[[nodiscard]] inline int64_t VisibleKeyCount(const AttentionProblem& problem, int64_t batch,
                                             int64_t query) {
  int64_t count = problem.key.extents[2];
  if (!problem.key_lengths.empty()) {
    count = std::min(count, problem.key_lengths[static_cast<size_t>(batch)]);
  }
  if (problem.causal_offset.has_value()) {
    constexpr int64_t kLast = std::numeric_limits<int64_t>::max() - 1;
    // query + offset + 1, without overflow at either end.
    const int64_t offset = *problem.causal_offset;
    const int64_t end = offset > kLast - query ? kLast : query + offset + 1;
    count = std::min(count, std::max<int64_t>(end, 0));
  }
  return count;
}

// Where element (batch, head, query, key) of a mask lies, in elements from its data.
[[nodiscard]] inline int64_t MaskOffset(const TensorView& mask, int64_t batch, int64_t head,
                                        int64_t query, int64_t key) {
  return batch * mask.strides[0] + head * mask.strides[1] + query * mask.strides[2] +
         key * mask.strides[3];
}

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_VISIBILITY_H_
