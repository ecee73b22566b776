// Statistics of the softmax, gathered from rows of weights as they pass by.

#ifndef ATTENTION_KERNELS_FUSED_ROW_STATISTICS_H_
#define ATTENTION_KERNELS_FUSED_ROW_STATISTICS_H_

#include <cstdint>
#include <vector>

#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/fused_call.h"
#include "kernels/fused/mask_rows.h"

namespace attention::kernels {

// Of the rows of one tile. One thread's; its memory is kept for the next use. Throws
// std::bad_alloc.
class RowStatistics {
 public:
  // Whether weights must pass by; log-sum-exp does without.
  [[nodiscard]] static bool NeedsWeights(const AttentionOutputs& outputs) {
    return outputs.entropy.present() || outputs.maximum_weight.present() ||
           outputs.key_mass.present() || outputs.top_weights.count > 0;
  }

  void Begin(const FusedCall& call, int64_t batch, int64_t row_count);

  // Rows follow with weights of some of these keys. Spans come in ascending order.
  void BeginKeys(const KeySpan& keys) { keys_ = keys; }
  void EndKeys();

  struct Weights {
    KeySpan keys;
    const float* weights;  // 0 where hidden
    WeightSummary summary;
  };
  void Take(int64_t row, const ScoreRow& score_row, const Weights& weights);

  // After the last weights of a row.
  void EndRow(int64_t row, const ScoreRow& score_row);

 private:
  struct Row {
    double entropy = 0;
    float maximum = 0;
    int64_t top_count = 0;  // how many keys stand in the list
  };

  void TakeTop(Row& row, const ScoreRow& score_row, const Weights& weights);
  double* MassOf(int64_t head);
  void Write(const MutableTensorView& target, const ScoreRow& score_row, double number) const;

  const FusedCall* call_ = nullptr;
  int64_t batch_ = 0;
  std::vector<Row> rows_;
  KeySpan keys_;
  std::vector<double> masses_;       // [heads, keys]
  std::vector<int64_t> mass_heads_;  // the heads that have some
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_ROW_STATISTICS_H_
