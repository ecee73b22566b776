#include "kernels/unfused/pair_masks.h"

#include <limits>

#include "kernels/convert.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

double At(const TensorView& mask, const Pair& pair) {
  const std::byte* row = RowAddress(mask, pair.batch, pair.head, pair.query);
  return LoadElement(mask.type, row + static_cast<ptrdiff_t>(ElementBytes(mask.type)) * pair.key *
                                          mask.strides[3]);
}

bool InOneSegment(const AttentionProblem& problem, const Pair& pair) {
  if (problem.query_segments.empty()) return true;
  const int64_t query = pair.batch * problem.query.extents[2] + pair.query;
  const int64_t key = pair.batch * problem.key.extents[2] + pair.key;
  return problem.query_segments[static_cast<size_t>(query)] ==
         problem.key_segments[static_cast<size_t>(key)];
}

bool InVisibleBlock(const BlockMask& blocks, const Pair& pair) {
  if (!blocks.mask.present()) return true;
  return At(blocks.mask, {pair.batch, pair.head, pair.query / blocks.query_block_size,
                          pair.key / blocks.key_block_size}) != 0.0;
}

}  // namespace

bool Visible(const AttentionProblem& problem, const Pair& pair) {
  const KeyRange keys = VisibleKeys(problem, pair.batch, pair.query);
  if (pair.key < keys.begin || pair.key >= keys.end) return false;
  if (!InOneSegment(problem, pair) || !InVisibleBlock(problem.block_mask, pair)) return false;
  if (problem.boolean_mask.present() && At(problem.boolean_mask, pair) == 0.0) return false;
  return !problem.additive_mask.present() ||
         At(problem.additive_mask, pair) != -std::numeric_limits<double>::infinity();
}

double MaskedScore(const AttentionProblem& problem, const RelativeBias& relative_bias,
                   const Pair& pair, double capped_score) {
  double score = capped_score;
  if (problem.multiplicative_mask.present()) score *= At(problem.multiplicative_mask, pair);
  if (relative_bias.present()) {
    const int64_t position = QueryPosition(problem, pair.batch, pair.query);
    score += relative_bias.At(pair.head, SaturatingSubtract(pair.key, position));
  }
  if (problem.additive_mask.present()) score += At(problem.additive_mask, pair);
  if (!problem.temperatures.empty()) score /= problem.temperatures[static_cast<size_t>(pair.head)];
  return score;
}

}  // namespace attention::kernels
