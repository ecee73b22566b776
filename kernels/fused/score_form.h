// How products of queries and keys become the scores that the softmax reads.

#ifndef ATTENTION_KERNELS_FUSED_SCORE_FORM_H_
#define ATTENTION_KERNELS_FUSED_SCORE_FORM_H_

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/attend.h"
#include "kernels/score_scale.h"

namespace attention::kernels {

// The softmax folds a positive scale, and always the temperature, into its exponents, which costs
// nothing. A softcap, biases and additive masks are applied to scaled scores, and a scale that is
// not positive turns the maximum around: these need the scores themselves transformed first.
class ScoreForm {
 public:
  // Of the dot product. The problem outlives the object.
  ScoreForm(const AttentionProblem& problem, const AttentionOptions& options)
      : problem_(problem),
        scale_(ScoreScale(problem, options)),
        softcap_(options.softcap.has_value()
                     ? std::clamp(*options.softcap, kLeastSoftcap, kMostSoftcap)
                     : 0),
        transforms_(problem.additive_mask.present() || softcap_ > 0 ||
                    !problem.alibi.slopes.empty() || !problem.bucketed_bias.table.empty() ||
                    !(scale_ > 0)),
        common_natural_scale_(transforms_ ? 1.0 : scale_),
        common_exponent_scale_(Normal(common_natural_scale_ * std::numbers::log2e)) {}

  // Whether f32 carries products, scores and all that is between them.
  [[nodiscard]] bool FitsF32() const {
    const auto carries = [](double factor) {
      return factor == 0 || (std::abs(factor) >= kLeastFactor && std::abs(factor) <= kMostFactor);
    };
    const bool caps_normally = softcap_ == 0 || scale_ == 0 ||
                               std::abs(scale_) / softcap_ >= std::numeric_limits<float>::min();
    return carries(scale_) && caps_normally &&
           std::ranges::all_of(problem_.temperatures, [&](double temperature) {
             return carries(1 / temperature) && carries(scale_ / temperature);
           });
  }

  // Whether scores are transformed before the softmax reads them.
  [[nodiscard]] bool transforms() const { return transforms_; }

  [[nodiscard]] float scale() const { return static_cast<float>(scale_); }

  // Of ScoreTransform.
  [[nodiscard]] float softcap() const { return static_cast<float>(softcap_); }
  [[nodiscard]] float multiplier() const {
    if (!transforms_) return 1.0f;
    constexpr double kMost = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(softcap_ > 0 ? scale_ / softcap_ : scale_, -kMost, kMost));
  }

  // Times this, what the softmax reads is a score in the sense of attend.h.
  [[nodiscard]] double NaturalScale(int64_t head) const {
    if (problem_.temperatures.empty()) return common_natural_scale_;
    return common_natural_scale_ / problem_.temperatures[static_cast<size_t>(head)];
  }

  // Times this, it is an exponent of 2. Kept among normal numbers, so that 0 and -infinity stay
  // what they are.
  [[nodiscard]] float ExponentScale(int64_t head) const {
    if (problem_.temperatures.empty()) return common_exponent_scale_;
    return Normal(NaturalScale(head) * std::numbers::log2e);
  }

  [[nodiscard]] static float Normal(double positive) {
    constexpr double kLeast = std::numeric_limits<float>::min();
    constexpr double kMost = std::numeric_limits<float>::max();
    return static_cast<float>(std::clamp(positive, kLeast, kMost));
  }

 private:
  // Of products, which f32 holds from 2^-126 to 2^128. A lesser factor would make scores that
  // matter, below 2^28, from products that are infinite; a greater one scores above 2^-26 from
  // products that are denormal.
  static constexpr double kLeastFactor = 0x1p-100;
  static constexpr double kMostFactor = 0x1p100;

  // What is beyond does what these do: below, all scores weigh the same; above, those up to 2^88
  // stay as they are. Their products with scales have room in f32.
  static constexpr double kLeastSoftcap = 0x1p-120;
  static constexpr double kMostSoftcap = 0x1p100;

  const AttentionProblem& problem_;
  double scale_;
  double softcap_;
  bool transforms_;
  double common_natural_scale_;  // without temperatures
  float common_exponent_scale_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_SCORE_FORM_H_
