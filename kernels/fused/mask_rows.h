// Masks applied to a row of scores.

#ifndef ATTENTION_KERNELS_FUSED_MASK_ROWS_H_
#define ATTENTION_KERNELS_FUSED_MASK_ROWS_H_

#include <cstdint>
#include <vector>

#include "kernels/attend.h"

namespace attention::kernels {

// Reads the masks of one (batch, head) row by row, whatever their types and strides. One thread's.
class MaskRows {
 public:
  MaskRows(const AttentionProblem& problem, int64_t batch, int64_t head)
      : problem_(problem), batch_(batch), head_(head) {}

  [[nodiscard]] bool any() const {
    return problem_.boolean_mask.present() || problem_.additive_mask.present();
  }

  // scores[i] = scale * scores[i] + additive, or -infinity where hidden, for keys [first_key,
  // first_key + count).
  void Apply(int64_t query, int64_t first_key, int64_t count, float scale, float* scores);

  // Whether the masks let `query` see `key`.
  [[nodiscard]] bool Visible(int64_t query, int64_t key) const;

 private:
  const float* AdditiveRow(int64_t query, int64_t first_key, int64_t count);
  const uint8_t* BooleanRow(int64_t query, int64_t first_key, int64_t count);

  const AttentionProblem& problem_;
  const int64_t batch_;
  const int64_t head_;
  std::vector<float> additive_;
  std::vector<uint8_t> boolean_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_MASK_ROWS_H_
