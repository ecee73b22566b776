#include "kernels/projection/projection_plan.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/projection_rows.h"

namespace attention::kernels {

int64_t ProjectionPlan::part_count() const {
  if (splits()) return 3;
  return products->bf16 ? 1 : 0;
}

int64_t ProjectionPlan::slab_count() const { return DivideUp(input_width, kSlabRows); }

int64_t ProjectionPlan::slab_rows(int64_t slab) const {
  return std::min(kSlabRows, input_width - slab * kSlabRows);
}

int64_t ProjectionPlan::PanelColumnBytes(int64_t row_count) const {
  if (type == DataType::kF64) return row_count * static_cast<int64_t>(sizeof(double));
  if (!products->bf16) return row_count * static_cast<int64_t>(sizeof(float));
  return RoundUp(row_count, kBlockRows) * part_count() * static_cast<int64_t>(sizeof(uint16_t));
}

int64_t ProjectionPlan::GroupRows() const {
  constexpr int64_t kGroupBytes = int64_t{1} << 20;
  constexpr int64_t kMostGroupRows = 256;
  // A row of the input takes as much as a column of a panel.
  const int64_t rows = kGroupBytes / PanelColumnBytes(std::min(input_width, kSlabRows));
  return std::clamp(rows / kProjectionTileRows * kProjectionTileRows, kProjectionTileRows,
                    kMostGroupRows);
}

ProjectionPlan MakeProjectionPlan(DataType type, Precision precision, int64_t input_width) {
  const Products& products = ChooseProducts(type, precision);
  return {.type = type,
          .products = &products,
          .input_width = input_width,
          .tile_registers = UsesTileRegisters(products)};
}

}  // namespace attention::kernels
