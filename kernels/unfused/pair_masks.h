// What the masks say about one (query, key) pair.

#ifndef ATTENTION_KERNELS_UNFUSED_PAIR_MASKS_H_
#define ATTENTION_KERNELS_UNFUSED_PAIR_MASKS_H_

#include <cstdint>

#include "kernels/attend.h"

namespace attention::kernels {

struct Pair {
  int64_t batch;
  int64_t head;  // of the queries
  int64_t query;
  int64_t key;
};

// False if boolean_mask, additive_mask = -infinity, causality or key_lengths hide the key.
[[nodiscard]] bool Visible(const AttentionProblem& problem, const Pair& pair);

// raw_score * multiplicative_mask + additive_mask, for a visible pair.
[[nodiscard]] double MaskedScore(const AttentionProblem& problem, const Pair& pair,
                                 double raw_score);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_PAIR_MASKS_H_
