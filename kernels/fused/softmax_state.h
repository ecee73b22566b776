// A row's softmax once all its keys have been taken in.

#ifndef ATTENTION_KERNELS_FUSED_SOFTMAX_STATE_H_
#define ATTENTION_KERNELS_FUSED_SOFTMAX_STATE_H_

#include <cstdint>

#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/fused_call.h"

namespace attention::kernels {

// `reference` and `sum` of the running softmax, of what ScoreForm makes.
class SoftmaxState {
 public:
  SoftmaxState() = default;

  // Takes the head's sink into account.
  SoftmaxState(const FusedCall& call, int64_t head, float reference, float sum);

  // Whether the row saw no key, and no sink greater than -infinity.
  [[nodiscard]] bool saw_nothing() const { return saw_nothing_; }

  // 1 / denominator relative to the reference; 0 for a row that saw nothing.
  [[nodiscard]] float normalizer() const { return normalizer_; }

  // -infinity for a row that saw nothing; the sink where there is one.
  [[nodiscard]] double LogSumExp() const;

  // The weights of some of the row's scores, which are -infinity where hidden. Sums them up if
  // `summarizes`.
  struct Scores {
    const float* scores;
    int64_t count;
  };
  WeightSummary Weigh(const Scores& scores, bool summarizes, float* weights) const;

 private:
  float reference_ = 0;
  float exponent_scale_ = 0;
  bool saw_nothing_ = false;
  float normalizer_ = 0;
  // The denominator is e^offset * total; its logarithm is taken only where it is asked for.
  double offset_ = 0;
  double total_ = 0;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_SOFTMAX_STATE_H_
