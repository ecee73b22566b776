// The second pass over the keys of a tile, once its softmax is final: weights, scores and
// statistics, a block at a time.

#ifndef ATTENTION_KERNELS_FUSED_TILE_RESULTS_H_
#define ATTENTION_KERNELS_FUSED_TILE_RESULTS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "kernels/fused/tile_state.h"

namespace attention::kernels {

// Whether anything but the output and log-sum-exp is asked for.
[[nodiscard]] bool NeedsSecondPass(const FusedCall& call);

class TileResults {
 public:
  // `selected` marks the rows that are written; null for all. Both outlive it.
  TileResults(TileState& tile, const uint8_t* selected) : tile_(tile), selected_(selected) {}

  // After the first pass. kInternal if the matrix library failed. Ends early, if a stop is
  // requested.
  [[nodiscard]] absl::Status Write();

 private:
  struct RowToWrite {
    const float* numbers;
    float factor;
  };

  [[nodiscard]] bool Selected(int64_t row) const {
    return selected_ == nullptr || selected_[row] != 0;
  }
  [[nodiscard]] bool WritesMatrices() const;

  absl::Status PassBlock(int64_t block);
  // Scores are there of the keys `computed`; matrices are written for all of `keys`.
  void PassRow(int64_t row, const KeySpan& keys, const KeySpan& computed);
  void WriteUnmaskedScores(int64_t row, const KeySpan& keys);
  void WriteMaskedScores(int64_t row, const KeySpan& keys, const Columns& visible);
  // Where a row's weights of `keys` are made: the output itself, if it holds what the softmax
  // gives.
  [[nodiscard]] float* WeightsOf(int64_t row, const KeySpan& keys) const;
  void WriteWeights(int64_t row, const KeySpan& keys, const Columns& visible);
  void WriteRow(const MutableTensorView& target, int64_t row, const KeySpan& keys,
                const RowToWrite& numbers);

  TileState& tile_;
  const uint8_t* selected_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_RESULTS_H_
