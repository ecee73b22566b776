#include "kernels/fused/softmax_state.h"

#include <cmath>
#include <limits>

namespace attention::kernels {

SoftmaxState::SoftmaxState(const FusedCall& call, int64_t head, float reference, float sum)
    : reference_(reference), exponent_scale_(call.form.ExponentScale(head)) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool empty = sum == 0;
  // The logarithm that the reference stands for.
  const double offset = static_cast<double>(reference) * call.form.NaturalScale(head);
  if (call.problem.sinks.empty()) {
    saw_nothing_ = empty;
    normalizer_ = empty ? 0.0f : 1.0f / sum;
    log_sum_exp_ = empty ? -kInfinity : offset + std::log(static_cast<double>(sum));
    return;
  }
  const double sink = call.problem.sinks[static_cast<size_t>(head)];
  if (empty) {
    saw_nothing_ = sink == -kInfinity;
    log_sum_exp_ = sink;
    return;
  }
  // The sink may lie so far above the keys that its power overflows: all weights are then 0.
  const double above = sink - offset;
  const double total = static_cast<double>(sum) + std::exp(above);
  normalizer_ = static_cast<float>(1.0 / total);
  constexpr double kFarAbove = 700;  // e^709 is the largest power
  log_sum_exp_ = above > kFarAbove ? sink : offset + std::log(total);
}

WeightSummary SoftmaxState::Weigh(const Scores& scores, bool summarizes, float* weights) const {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  if (reference_ == kHidden) {  // nothing was visible, or only -infinity and perhaps NaN
    for (int64_t i = 0; i < scores.count; ++i) {
      weights[i] = scores.scores[i] == kHidden ? 0.0f : normalizer_;
    }
    return {.sum = normalizer_, .exponent_sum = normalizer_, .maximum = normalizer_};
  }
  const RowNormalizer normalizer = {.reference = reference_,
                                    .exponent_scale = exponent_scale_,
                                    .factor = normalizer_};
  if (summarizes) {
    return NormalizeAndSummarize(scores.scores, scores.count, normalizer, weights);
  }
  NormalizeScores(scores.scores, scores.count, normalizer, weights);
  return {};
}

}  // namespace attention::kernels
