// Cosines and sines of the angles by which pairs turn, for consecutive positions.

#ifndef ATTENTION_KERNELS_ROTARY_ANGLES_H_
#define ATTENTION_KERNELS_ROTARY_ANGLES_H_

#include <cstdint>

#include "kernels/aligned_array.h"
#include "kernels/attention_problem.h"
#include "kernels/elementwise/rotary_rows.h"

namespace attention::kernels {

// What all positions share: how far each pair turns from one to the next and, for f32, the turns of
// the first kSteps positions, to which those of every kSteps-th position are added. A position's
// turns depend on it alone, not on where a row of positions begins.
//
// Thread safety: once begun, const methods may be called from any thread.
class RotaryAngles {
 public:
  // For the pairs of the first `width` numbers. Does nothing if they are what it was begun with
  // last. Throws std::bad_alloc.
  void Begin(const RotaryEmbedding& rotary, int64_t width);

  // Fills [count, pairs] for the positions [first, first + count). `scratch` is the calling
  // thread's own. Throws std::bad_alloc.
  void Fill(int64_t first, int64_t count, const PairTurns<float>& turns,
            AlignedArray<double>& scratch) const;
  void Fill(int64_t first, int64_t count, const PairTurns<double>& turns,
            AlignedArray<double>& scratch) const;

  // Gives memory back if there is more than `byte_count` of it.
  void ReleaseAbove(size_t byte_count);

  // Bytes that Begin makes room for.
  [[nodiscard]] static double RoomBytes(int64_t width) {
    return sizeof(double) * static_cast<double>(kSteps + 1) * static_cast<double>(width);
  }

 private:
  static constexpr int64_t kSteps = 32;

  void SetRates(const RotaryEmbedding& rotary);
  [[nodiscard]] TurnRates rates() const;
  [[nodiscard]] PairTurns<double> StepTurns(int64_t step) const;

  RotaryEmbedding rotary_;
  int64_t pair_count_ = 0;
  AlignedArray<double> rates_;  // [2, pairs]: high and low parts
  AlignedArray<double> steps_;  // [kSteps, 2, pairs]: cosines and sines
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_ROTARY_ANGLES_H_
