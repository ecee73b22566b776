#include "kernels/projection/projection_plan.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/projection_rows.h"
#include "kernels/f32_grade_probe.h"
#include "kernels/instruction_set.h"

namespace attention::kernels {
namespace {

ProductKind KindOf(DataType type, Precision precision) {
  if (type == DataType::kF64) return ProductKind::kF64;
  if (EffectiveInstructionLevel() < InstructionLevel::kAvx512Amx) return ProductKind::kF32;
  if (type == DataType::kBF16) return ProductKind::kBF16;
  if (type != DataType::kF32) return ProductKind::kF32;
  switch (precision) {
    case Precision::kBF16X6:
      return ProductKind::kBF16X6;
    case Precision::kBF16X3:
      return ProductKind::kBF16X3;
    case Precision::kBF16:
      return ProductKind::kBF16;
    case Precision::kF32GradeFastest:
      return SplittingIsFaster() ? ProductKind::kBF16X6 : ProductKind::kF32;
    case Precision::kF32:
      break;
  }
  return ProductKind::kF32;
}

}  // namespace

int64_t ProjectionPlan::part_count() const {
  if (splits()) return 3;
  return kind == ProductKind::kBF16 ? 1 : 0;
}

int64_t ProjectionPlan::slab_count() const { return (input_width - 1) / kSlabRows + 1; }

int64_t ProjectionPlan::slab_rows(int64_t slab) const {
  return std::min(kSlabRows, input_width - slab * kSlabRows);
}

int64_t ProjectionPlan::PanelColumnBytes(int64_t row_count) const {
  if (kind == ProductKind::kF64) return row_count * static_cast<int64_t>(sizeof(double));
  if (kind == ProductKind::kF32) return row_count * static_cast<int64_t>(sizeof(float));
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
  return {.type = type, .kind = KindOf(type, precision), .input_width = input_width};
}

}  // namespace attention::kernels
