// What all parts of one call of fused attention share.

#ifndef ATTENTION_KERNELS_FUSED_FUSED_CALL_H_
#define ATTENTION_KERNELS_FUSED_FUSED_CALL_H_

#include "kernels/attend.h"
#include "kernels/fused/key_mass.h"
#include "kernels/fused/relative_bias_table.h"
#include "kernels/fused/row_visibility.h"
#include "kernels/fused/score_form.h"

namespace attention::kernels {

// Everything outlives the call.
struct FusedCall {
  const AttentionProblem& problem;
  const AttentionOptions& options;
  const AttentionOutputs& outputs;
  const Execution& execution;
  ScoreForm form;
  const RowVisibility& visibility;
  const RelativeBiasTable& relative_bias;
  KeyMass& key_mass;

  // Raw and capped scores are returned of hidden keys, too.
  [[nodiscard]] bool ScoresHiddenKeys() const {
    return options.scores == ScoresOutput::kRaw || options.scores == ScoresOutput::kCapped;
  }
  [[nodiscard]] double HeadFactor(int64_t head) const {
    return problem.head_factors.empty() ? 1.0 : problem.head_factors[static_cast<size_t>(head)];
  }
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_FUSED_CALL_H_
