// How a projection is cut into products of small matrices: by types and widths alone, so that bits
// depend on nothing else.

#ifndef ATTENTION_KERNELS_PROJECTION_PROJECTION_PLAN_H_
#define ATTENTION_KERNELS_PROJECTION_PROJECTION_PLAN_H_

#include <cstdint>

#include "kernels/attend.h"
#include "kernels/products.h"
#include "kernels/tensor_view.h"

namespace attention::kernels {

// Rows of the input that one kernel call takes, at most.
inline constexpr int64_t kProjectionTileRows = 64;
// Columns of a weight that lie together: four vectors of the widest kind. The last panel of a map
// is narrower, a multiple of kPanelColumnMultiple.
inline constexpr int64_t kPanelColumns = 64;
inline constexpr int64_t kPanelColumnMultiple = 16;
// Weight rows that one kernel call takes in f32, at most: what keeps a tile and a panel in the
// second-level cache.
inline constexpr int64_t kChunkRows = 1024;
// Weight rows for which a thread prepares rows and panels at a time, at most: a bound for its
// working set.
inline constexpr int64_t kSlabRows = 4096;
static_assert(kSlabRows % kChunkRows == 0);

struct ProjectionPlan {
  DataType type = DataType::kF32;
  const Products* products = &kF32Products;  // F64 has none: its elements are multiplied one by one
  int64_t input_width = 0;
  bool tile_registers = false;  // whether our kernel multiplies in BF16, or the matrix library

  // Whether operands are split, so that what cannot be split must be computed in f32.
  [[nodiscard]] bool splits() const { return products->split(); }
  // BF16 parts of a number; 0 if operands are not in BF16. A panel in three products keeps its
  // third part: rows that cannot be split need the whole number.
  [[nodiscard]] int64_t part_count() const;

  // The first weight row of a slab is a multiple of kSlabRows.
  [[nodiscard]] int64_t slab_count() const;
  [[nodiscard]] int64_t slab_rows(int64_t slab) const;

  // Bytes that one column takes, packed, for `row_count` weight rows.
  [[nodiscard]] int64_t PanelColumnBytes(int64_t row_count) const;

  // Rows of the input that a thread prepares at a time: a multiple of kProjectionTileRows that fits
  // into the second-level cache beside a panel.
  [[nodiscard]] int64_t GroupRows() const;
};

// As far as the processor, as capped, has the products.
[[nodiscard]] ProjectionPlan MakeProjectionPlan(DataType type, Precision precision,
                                                int64_t input_width);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_PROJECTION_PROJECTION_PLAN_H_
