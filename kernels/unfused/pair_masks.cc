#include "kernels/unfused/pair_masks.h"

#include <limits>

#include "kernels/convert.h"

namespace attention::kernels {
namespace {

double At(const TensorView& mask, const Pair& pair) {
  const std::byte* row = RowAddress(mask, pair.batch, pair.head, pair.query);
  return LoadElement(mask.type, row + static_cast<ptrdiff_t>(ElementBytes(mask.type)) * pair.key *
                                          mask.strides[3]);
}

// Whether key > query + offset, for any offset: the sum saturates.
bool HiddenByCausality(const Pair& pair, int64_t offset) {
  int64_t last_visible_key;
  if (__builtin_add_overflow(pair.query, offset, &last_visible_key))
    return false;  // query >= 0, so only upwards
  return pair.key > last_visible_key;
}

}  // namespace

bool Visible(const AttentionProblem& problem, const Pair& pair) {
  if (problem.causal && HiddenByCausality(pair, problem.query_offset)) return false;
  if (!problem.key_lengths.empty() &&
      pair.key >= problem.key_lengths[static_cast<size_t>(pair.batch)])
    return false;
  if (problem.boolean_mask.present() && At(problem.boolean_mask, pair) == 0.0) return false;
  return !problem.additive_mask.present() ||
         At(problem.additive_mask, pair) != -std::numeric_limits<double>::infinity();
}

double MaskedScore(const AttentionProblem& problem, const Pair& pair, double raw_score) {
  double score = raw_score;
  if (problem.multiplicative_mask.present()) score *= At(problem.multiplicative_mask, pair);
  if (problem.additive_mask.present()) score += At(problem.additive_mask, pair);
  return score;
}

}  // namespace attention::kernels
