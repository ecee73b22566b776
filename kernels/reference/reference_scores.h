// What the oracle adds to scores and what it hides, one pair at a time.

#ifndef ATTENTION_KERNELS_REFERENCE_REFERENCE_SCORES_H_
#define ATTENTION_KERNELS_REFERENCE_REFERENCE_SCORES_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

struct ReferencePair {
  int64_t batch;
  int64_t head;  // of the queries
  int64_t query;
  int64_t key;
};

// Whether anything hides the key from the query.
[[nodiscard]] bool ReferenceHides(const AttentionProblem& problem, const ReferencePair& pair);

// The biases that depend on the distance alone.
[[nodiscard]] double ReferenceRelativeBias(const AttentionProblem& problem,
                                           const ReferencePair& pair);

// Of one head, each [queries, keys].
struct ReferenceScores {
  std::vector<double> raw;
  std::vector<double> capped;
  std::vector<double> masked;  // what is normalized; -infinity where hidden, or 0 without softmax
  std::vector<bool> hidden;
};

[[nodiscard]] ReferenceScores ComputeReferenceScores(const AttentionProblem& problem,
                                                     const AttentionOptions& options, int64_t batch,
                                                     int64_t head);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_REFERENCE_REFERENCE_SCORES_H_
