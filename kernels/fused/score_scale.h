// Where the scale of the scores is applied.

#ifndef ATTENTION_KERNELS_FUSED_SCORE_SCALE_H_
#define ATTENTION_KERNELS_FUSED_SCORE_SCALE_H_

#include <numbers>

#include "kernels/attend.h"

namespace attention::kernels {

// The softmax folds a positive scale into its exponents, which costs nothing. Masks are added to
// scaled scores, and a scale that is not positive turns the maximum around: both need the scores
// themselves scaled first.
struct ScoreScale {
  ScoreScale(const AttentionProblem& problem, float scale_in)
      : scale(scale_in),
        scale_first(problem.boolean_mask.present() || problem.additive_mask.present() ||
                    !(scale_in > 0)),
        exponent_scale(static_cast<float>((scale_first ? 1.0 : static_cast<double>(scale)) *
                                          std::numbers::log2e)) {}

  float scale;
  bool scale_first;
  float exponent_scale;  // from what the softmax reads to exponents of 2
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_SCORE_SCALE_H_
