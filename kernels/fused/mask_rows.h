// Masks applied to rows of scores.

#ifndef ATTENTION_KERNELS_FUSED_MASK_ROWS_H_
#define ATTENTION_KERNELS_FUSED_MASK_ROWS_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

// One row of the score matrix: a query of a head.
struct ScoreRow {
  int64_t head = 0;
  int64_t query = 0;
};

// Reads the masks of one batch entry row by row, whatever their types and strides. One thread's;
// its memory is kept for the next use.
class MaskRows {
 public:
  void Begin(const AttentionProblem& problem, int64_t batch) {
    problem_ = &problem;
    batch_ = batch;
  }

  // scores[i] = scale * scores[i] + additive, or -infinity where hidden, for keys [first_key,
  // first_key + count).
  void Apply(const ScoreRow& row, int64_t first_key, int64_t count, float scale, float* scores);

  // Whether the masks let the row see one of the keys [first_key, first_key + count).
  [[nodiscard]] bool AnyVisible(const ScoreRow& row, int64_t first_key, int64_t count);

  // Whether the masks let the row see `key`.
  [[nodiscard]] bool Visible(const ScoreRow& row, int64_t key) const;

 private:
  const float* AdditiveRow(const ScoreRow& row, int64_t first_key, int64_t count);
  const uint8_t* BooleanRow(const ScoreRow& row, int64_t first_key, int64_t count);

  const AttentionProblem* problem_ = nullptr;
  int64_t batch_ = 0;
  std::vector<float> additive_;
  std::vector<uint8_t> boolean_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_MASK_ROWS_H_
