// What becomes of a tile's scores between their product and the softmax: applied by the softmax on
// its way, where it can be, since another pass over the scores costs as much as a softmax in BF16.

#ifndef ATTENTION_KERNELS_FUSED_TILE_TRANSFORM_H_
#define ATTENTION_KERNELS_FUSED_TILE_TRANSFORM_H_

#include <cstdint>

#include "kernels/aligned_array.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/mask_rows.h"

namespace attention::kernels {

class TileState;

// A thread's, kept between tiles. Throws std::bad_alloc.
class TileTransform {
 public:
  // For the tile's scores of `span`, which the tile has computed. It outlives the use.
  void Begin(const TileState& tile, const KeySpan& span);

  // How many rows ForRows may be asked for at once.
  [[nodiscard]] int64_t RowsAtOnce() const;

  // Of the rows [first, end): null if the softmax shall read the scores as they are, of which this
  // may have made what it shall read. Valid until the next call.
  const SoftmaxTransform* ForRows(int64_t first, int64_t end);

 private:
  // A row of mask elements in memory that may be read as far as the softmax reads.
  template <class T>
  const T* Readable(const MaskRow<T>& row, const Columns& columns, T* copy) const;

  void FindBiases();
  void FindSegments();
  void FindMasks(int64_t first, int64_t end);
  void TransformInPlace(int64_t first, int64_t end) const;

  const TileState* tile_ = nullptr;
  KeySpan span_;
  int64_t column_count_ = 0;  // of the span, whole groups
  MaskPlace place_ = MaskPlace::kNowhere;
  SoftmaxTransform transform_;
  AlignedArray<const float*> biases_;     // of each row
  AlignedArray<const uint8_t*> visible_;  // of each row
  AlignedArray<int32_t> row_segments_;
  AlignedArray<int32_t> column_segments_;
  AlignedArray<float> bias_copies_;       // [rows at once, columns]
  AlignedArray<uint8_t> visible_copies_;  // [rows at once, columns]
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_TRANSFORM_H_
