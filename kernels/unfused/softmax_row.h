// The softmax of one row of scores over its visible keys and the head's sink, and what it says of
// the row.

#ifndef ATTENTION_KERNELS_UNFUSED_SOFTMAX_ROW_H_
#define ATTENTION_KERNELS_UNFUSED_SOFTMAX_ROW_H_

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

// What the visible scores of a row, or of one key over all queries, are normalized with:
//   weight = exp(score - maximum) / sum
// with a sink's share included in the sum; 0 for a score of -infinity, whatever the others are.
struct SoftmaxSum {
  double maximum = -std::numeric_limits<double>::infinity();
  double sum = 0.0;

  // No visible key with a score above -infinity, and no sink.
  [[nodiscard]] bool SeesNothing() const { return sum == 0.0; }
  [[nodiscard]] double Weight(double score) const {
    return score == -std::numeric_limits<double>::infinity() ? 0.0
                                                             : std::exp(score - maximum) / sum;
  }
  [[nodiscard]] double LogSumExp() const {
    return SeesNothing() ? -std::numeric_limits<double>::infinity() : maximum + std::log(sum);
  }
};

// Turns the visible scores of a row into weights, in place. Hidden ones hold 0 and keep it. `sink`
// is -infinity where there is none.
[[nodiscard]] SoftmaxSum SoftmaxRow(const uint8_t* visible, int64_t key_count, double sink,
                                    double* row);

// -sum of w ln w.
[[nodiscard]] double RowEntropy(const double* weights, int64_t key_count);

// The largest weight; 0 without keys; NaN if one is NaN.
[[nodiscard]] double RowMaximum(const double* weights, int64_t key_count);

// The largest weights of the row as TopWeights wants them, once they are rounded to `type`.
// `scratch` is resized as needed. Writes `count` weights and keys.
struct WeightOfKey {
  double weight;
  int32_t key;
};
void RowTopWeights(const double* weights, int64_t key_count, DataType type,
                   std::vector<WeightOfKey>& scratch, int64_t count, double* top_weights,
                   int32_t* top_keys);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_SOFTMAX_ROW_H_
