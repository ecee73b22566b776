#include "kernels/fused/softmax_state.h"

#include <cmath>
#include <limits>

namespace attention::kernels {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

SoftmaxState::SoftmaxState(const FusedCall& call, int64_t head, float reference, float sum)
    : reference_(reference), exponent_scale_(call.form.ExponentScale(head)) {
  const bool empty = sum == 0;
  const bool sinks = !call.problem.sinks.empty();
  const double sink = sinks ? call.problem.sinks[static_cast<size_t>(head)] : -kInfinity;
  if (empty) {
    saw_nothing_ = sink == -kInfinity;
    offset_ = sink;
    total_ = 1;
    return;
  }
  // The logarithm that the reference stands for.
  offset_ = static_cast<double>(reference) * call.form.NaturalScale(head);
  total_ = static_cast<double>(sum);
  if (!sinks) {
    normalizer_ = 1.0f / sum;
    return;
  }
  // The sink may lie so far above the keys that its power overflows: all weights are then 0.
  const double above = sink - offset_;
  total_ += std::exp(above);
  normalizer_ = static_cast<float>(1.0 / total_);
  constexpr double kFarAbove = 700;  // e^709 is the largest power
  // Beside a NaN the reference is -infinity at times, which no sink is far above.
  if (above <= kFarAbove || std::isnan(total_)) return;
  offset_ = sink;
  total_ = 1;
}

double SoftmaxState::LogSumExp() const { return offset_ + std::log(total_); }

WeightSummary SoftmaxState::Weigh(const Scores& scores, bool summarizes, float* weights) const {
  constexpr float kHidden = -std::numeric_limits<float>::infinity();
  if (reference_ == kHidden) {  // nothing was visible, or only -infinity and perhaps NaN
    for (int64_t i = 0; i < scores.count; ++i) {
      weights[i] = scores.scores[i] == kHidden ? 0.0f : normalizer_;
    }
    return {.sum = normalizer_, .exponent_sum = normalizer_, .maximum = normalizer_};
  }
  const RowNormalizer normalizer = {
      .reference = reference_, .exponent_scale = exponent_scale_, .factor = normalizer_};
  if (summarizes) {
    return NormalizeAndSummarize(scores.scores, scores.count, normalizer, weights);
  }
  NormalizeScores(scores.scores, scores.count, normalizer, weights);
  return {};
}

}  // namespace attention::kernels
