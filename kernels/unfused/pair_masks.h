// What masks, positions, segments and biases say about one (query, key) pair.

#ifndef ATTENTION_KERNELS_UNFUSED_PAIR_MASKS_H_
#define ATTENTION_KERNELS_UNFUSED_PAIR_MASKS_H_

#include <cstdint>

#include "kernels/attend.h"
#include "kernels/relative_bias.h"

namespace attention::kernels {

struct Pair {
  int64_t batch;
  int64_t head;  // of the queries
  int64_t query;
  int64_t key;
};

// False if anything hides the key: boolean_mask, additive_mask = -infinity, block_mask, segments,
// causality, the window or key_lengths.
[[nodiscard]] bool Visible(const AttentionProblem& problem, const Pair& pair);

// (capped_score * multiplicative_mask + relative bias + additive_mask) / temperature, for a visible
// pair.
[[nodiscard]] double MaskedScore(const AttentionProblem& problem, const RelativeBias& relative_bias,
                                 const Pair& pair, double capped_score);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_PAIR_MASKS_H_
