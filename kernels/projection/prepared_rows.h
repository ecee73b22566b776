// Input rows in the form that products read, prepared by each thread for itself and kept for the
// panels that follow.

#ifndef ATTENTION_KERNELS_PROJECTION_PREPARED_ROWS_H_
#define ATTENTION_KERNELS_PROJECTION_PREPARED_ROWS_H_

#include <cstdint>

#include "kernels/aligned_array.h"
#include "kernels/projection/projection_plan.h"

namespace attention::kernels {

// Some consecutive rows of the input of a call.
struct RowGroup {
  int64_t call = 0;  // a number that no other call of the process has
  int64_t first_row = 0;
  int64_t row_count = 0;
  const std::byte* data = nullptr;  // the first row
  int64_t row_stride = 0;           // elements
};

struct F32Rows {
  const float* data = nullptr;
  int64_t stride = 0;  // elements
};

// One thread's. Throws std::bad_alloc.
class PreparedRows {
 public:
  // Columns of slab `slab` as f32; the input itself if it is. Valid until the next call with
  // another group or slab.
  [[nodiscard]] F32Rows AsF32(const ProjectionPlan& plan, const RowGroup& group, int64_t slab);

  // The same in BF16, tile after tile: rows with a last block filled up or, for tile registers,
  // blocks, in which the rows of a last tile are filled up to a multiple of kTileRegisterRows.
  [[nodiscard]] const uint16_t* AsBF16(const ProjectionPlan& plan, const RowGroup& group,
                                       int64_t slab);

  // For each row of the group 1 if it cannot be split, else 0; null if all can.
  [[nodiscard]] const uint8_t* Unsplittable(const ProjectionPlan& plan, const RowGroup& group);

 private:
  // What an array holds.
  struct Contents {
    int64_t call = -1;
    int64_t first_row = 0;
    int64_t slab = 0;

    bool operator==(const Contents&) const = default;
  };

  AlignedArray<float> f32_;
  AlignedArray<uint16_t> bf16_;
  AlignedArray<uint8_t> unsplittable_;
  Contents f32_contents_;
  Contents bf16_contents_;
  Contents unsplittable_contents_;
  bool any_unsplittable_ = false;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_PREPARED_ROWS_H_
