// The oracle: attention in float64, two passes, obviously right and slow. For tests only.
//
// Computes exactly the formula of kernels/attend.h, all kinds and options, on float64 copies of the
// operands, single-threaded, and without any code shared with the implementations it judges.

#ifndef ATTENTION_KERNELS_REFERENCE_REFERENCE_ATTENTION_H_
#define ATTENTION_KERNELS_REFERENCE_REFERENCE_ATTENTION_H_

#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

struct ReferenceResult {
  std::vector<double> output = {};   // [batch, query heads, queries, value width]
  std::vector<double> weights = {};  // [batch, query heads, queries, keys], times the head factors
  std::vector<double> raw_scores = {};  // this and the following the same shape
  std::vector<double> capped_scores = {};
  std::vector<double> masked_scores = {};

  // With the softmax over keys; otherwise empty.
  std::vector<double> softmax = {};      // the weights that statistics describe; 0 where hidden
  std::vector<double> log_sum_exp = {};  // this and the following [batch, query heads, queries]
  std::vector<double> entropy = {};
  std::vector<double> maximum_weight = {};
  std::vector<double> key_mass = {};  // [batch, query heads, keys]
};

// Expects a problem that Validate accepts.
[[nodiscard]] ReferenceResult ReferenceAttention(const AttentionProblem& problem,
                                                 const AttentionOptions& options);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_REFERENCE_REFERENCE_ATTENTION_H_
