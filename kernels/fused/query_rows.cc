#include "kernels/fused/query_rows.h"

#include <algorithm>
#include <cstring>

#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {

void PackRow(DataType type, const TilePlan& plan, const std::byte* source, int64_t width,
             std::byte* target, int64_t part_bytes) {
  if (!plan.products->bf16) {
    return ConvertToF32(type, source, width, reinterpret_cast<float*>(target));
  }
  const int part_count = plan.products->part_count;
  const auto part = [&](int index) {
    return index < part_count ? reinterpret_cast<uint16_t*>(target + index * part_bytes) : nullptr;
  };
  for (int index = 0; index < part_count; ++index) {
    std::fill(part(index) + width, part(index) + plan.inner_width, uint16_t{0});
  }
  if (type == DataType::kBF16) {
    std::memcpy(target, source, static_cast<size_t>(width) * sizeof(uint16_t));
  } else {
    SplitToBF16(reinterpret_cast<const float*>(source), width, {part(0), part(1), part(2)});
  }
}

const std::byte* PackQueryRows(const AttentionProblem& problem, const TilePlan& plan, int64_t batch,
                               std::span<const ScoreRow> rows, int64_t padded_row_count,
                               AlignedArray<std::byte>& storage) {
  const TensorView& view = problem.query;
  const int64_t width = view.extents[3];
  const int64_t row_bytes = plan.inner_width * plan.ElementBytes();
  const int64_t part_bytes = padded_row_count * row_bytes;
  const int part_count = plan.products->part_count;
  const bool bf16 = plan.products->bf16;
  const bool same_type = view.type == (bf16 ? DataType::kBF16 : DataType::kF32);
  const auto row_count = static_cast<int64_t>(rows.size());
  const auto address = [&](const ScoreRow& row) {
    return RowAddress(view, batch, row.head, row.query);
  };
  const bool dense = plan.group_size == 1 && view.strides[2] == plan.inner_width;
  if (same_type && dense && width == plan.inner_width && padded_row_count == row_count) {
    return address(rows.front());
  }
  storage.Reserve(static_cast<size_t>(part_count * part_bytes));
  std::byte* target = storage.data();
  for (int64_t row = 0; row < row_count; ++row, target += row_bytes) {
    PackRow(view.type, plan, address(rows[static_cast<size_t>(row)]), width, target, part_bytes);
  }
  for (int index = 0; index < part_count; ++index) {
    std::memset(target + index * part_bytes, 0,
                static_cast<size_t>((padded_row_count - row_count) * row_bytes));
  }
  return storage.data();
}

}  // namespace attention::kernels
