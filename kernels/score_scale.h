// What scores are multiplied by first.

#ifndef ATTENTION_KERNELS_SCORE_SCALE_H_
#define ATTENTION_KERNELS_SCORE_SCALE_H_

#include <cmath>

#include "kernels/attention_problem.h"

namespace attention::kernels {

[[nodiscard]] inline double ScoreScale(const AttentionProblem& problem,
                                       const AttentionOptions& options) {
  if (options.scale.has_value()) return *options.scale;
  if (options.score != ScoreKind::kDotProduct) return 1.0;
  return 1.0 / std::sqrt(static_cast<double>(problem.key.extents[3]));
}

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_SCORE_SCALE_H_
