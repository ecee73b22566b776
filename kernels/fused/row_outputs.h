// Finished rows of the output.

#ifndef ATTENTION_KERNELS_FUSED_ROW_OUTPUTS_H_
#define ATTENTION_KERNELS_FUSED_ROW_OUTPUTS_H_

#include <cstdint>

#include "kernels/fused/fused_call.h"
#include "kernels/fused/softmax_state.h"

namespace attention::kernels {

// Of the query heads of one key-value head of a batch entry.
class RowOutputs {
 public:
  // The call outlives it.
  RowOutputs(const FusedCall& call, int64_t batch, int64_t key_value_head)
      : call_(call), batch_(batch), key_value_head_(key_value_head) {}

  // Writes the log-sum-exp of a row; returns what its running output, which may be overwritten, is
  // to be multiplied by.
  [[nodiscard]] float Finish(const ScoreRow& row, const SoftmaxState& state, float* running_output);

  [[nodiscard]] std::byte* Address(const ScoreRow& row) const {
    return RowAddress(call_.outputs.output, batch_, row.head, row.query);
  }

 private:
  // The mean of the values of all keys, hidden ones included; there is at least one.
  const float* MeanValues();

  const FusedCall& call_;
  const int64_t batch_;
  const int64_t key_value_head_;
  bool knows_mean_ = false;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_ROW_OUTPUTS_H_
