#include "kernels/projection/prepared_rows.h"

#include <algorithm>

#include "kernels/amx/tile_product.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/projection_rows.h"
#include "kernels/projection/matrix_tile_product.h"

namespace attention::kernels {
namespace {

// The first element of a row's slab.
const std::byte* SlabOfRow(const ProjectionPlan& plan, const RowGroup& group, int64_t row,
                           int64_t slab) {
  const auto element_bytes = static_cast<int64_t>(ElementBytes(plan.type));
  return group.data + (row * group.row_stride + slab * kSlabRows) * element_bytes;
}

}  // namespace

F32Rows PreparedRows::AsF32(const ProjectionPlan& plan, const RowGroup& group, int64_t slab) {
  if (plan.type == DataType::kF32 && group.row_stride <= kMostKernelStride) {
    return {reinterpret_cast<const float*>(SlabOfRow(plan, group, 0, slab)), group.row_stride};
  }
  const int64_t width = plan.slab_rows(slab);
  const Contents wanted = {group.call, group.first_row, slab};
  if (f32_contents_ != wanted) {
    f32_contents_ = {};
    f32_.Reserve(static_cast<size_t>(group.row_count * width));
    for (int64_t row = 0; row < group.row_count; ++row) {
      ConvertToF32(plan.type, SlabOfRow(plan, group, row, slab), width, f32_.data() + row * width);
    }
    f32_contents_ = wanted;
  }
  return {f32_.data(), width};
}

const uint16_t* PreparedRows::AsBF16(const ProjectionPlan& plan, const RowGroup& group,
                                     int64_t slab) {
  const Contents wanted = {group.call, group.first_row, slab};
  if (bf16_contents_ == wanted) return bf16_.data();
  bf16_contents_ = {};
  const int64_t width = plan.slab_rows(slab);
  const int64_t part_count = plan.part_count();
  const int64_t padded_width = RoundUp(width, kBlockRows) * part_count;
  bf16_.Reserve(static_cast<size_t>(RoundUp(group.row_count, kTileRegisterRows) * padded_width));
  for (int64_t row0 = 0; row0 < group.row_count; row0 += kProjectionTileRows) {
    const int64_t real_count = std::min(kProjectionTileRows, group.row_count - row0);
    const int64_t row_count = RoundUp(real_count, kTileRegisterRows);
    uint16_t* tile = bf16_.data() + row0 * padded_width;
    if (row_count > real_count) std::fill_n(tile, row_count * padded_width, uint16_t{0});
    for (int64_t row = 0; row < real_count; ++row) {
      PackRowToBF16(plan.type, SlabOfRow(plan, group, row0 + row, slab), width,
                    plan.tile_registers
                        ? RowBlocks{.data = tile + row * kBlockRows,
                                    .block_stride = part_count * row_count * kBlockRows,
                                    .part_stride = row_count * kBlockRows,
                                    .part_count = part_count}
                        : RowBlocks{.data = tile + row * padded_width, .block_stride = kBlockRows});
    }
  }
  bf16_contents_ = wanted;
  return bf16_.data();
}

const uint8_t* PreparedRows::Unsplittable(const ProjectionPlan& plan, const RowGroup& group) {
  if (!plan.splits()) return nullptr;
  const Contents wanted = {group.call, group.first_row, 0};
  if (unsplittable_contents_ != wanted) {
    unsplittable_contents_ = {};
    unsplittable_.Reserve(static_cast<size_t>(group.row_count));
    any_unsplittable_ = false;
    for (int64_t row = 0; row < group.row_count; ++row) {
      const auto* numbers = reinterpret_cast<const float*>(SlabOfRow(plan, group, row, 0));
      const bool splittable = AllSplittable(numbers, plan.input_width);
      unsplittable_.data()[row] = splittable ? 0 : 1;
      any_unsplittable_ |= !splittable;
    }
    unsplittable_contents_ = wanted;
  }
  return any_unsplittable_ ? unsplittable_.data() : nullptr;
}

}  // namespace attention::kernels
