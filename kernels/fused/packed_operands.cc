#include "kernels/fused/packed_operands.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {
namespace {

constexpr uint16_t kBF16ExponentMask = 0x7F80;

// Row `row` of the block in the element type of the matrix kernels, in `scratch` unless it lies
// ready in memory. BF16 rows are padded with a zero to `width`, if that is larger.
const void* ReadyRow(const TensorView& view, const BlockIndex& block, int64_t row,
                     const TilePlan& plan, int64_t width, std::byte* scratch) {
  const std::byte* source = RowAddress(view, block.batch, block.head, row);
  const int64_t real_width = view.extents[3];
  if (plan.type == MatrixType::kF32) {
    if (view.type == DataType::kF32) return source;
    ConvertToF32(view.type, source, real_width, reinterpret_cast<float*>(scratch));
    return scratch;
  }
  if (real_width == width) return source;
  std::memcpy(scratch, source, static_cast<size_t>(real_width) * sizeof(uint16_t));
  std::memset(scratch + real_width * static_cast<int64_t>(sizeof(uint16_t)), 0,
              static_cast<size_t>(width - real_width) * sizeof(uint16_t));
  return scratch;
}

}  // namespace

PackedOperands::PackedOperands(const AttentionProblem& problem, const TilePlan& plan)
    : problem_(problem),
      plan_(plan),
      key_block_bytes_(plan.inner_width * plan.key_columns * plan.ElementBytes()),
      value_block_bytes_(plan.key_columns * plan.value_stride * plan.ElementBytes()),
      keys_(static_cast<size_t>(block_count() * key_block_bytes_)),
      values_(static_cast<size_t>(block_count() * value_block_bytes_)),
      has_non_finite_values_(static_cast<size_t>(block_count()), 0) {}

int64_t PackedOperands::block_count() const {
  return problem_.key.extents[0] * problem_.key.extents[1] * plan_.key_block_count;
}

BlockIndex PackedOperands::BlockAt(int64_t index) const {
  const int64_t row = index / plan_.key_block_count;
  return {row / problem_.key.extents[1], row % problem_.key.extents[1],
          index % plan_.key_block_count};
}

int64_t PackedOperands::Flat(const BlockIndex& block) const {
  return (block.batch * problem_.key.extents[1] + block.head) * plan_.key_block_count + block.block;
}

const void* PackedOperands::Keys(const BlockIndex& block) const {
  return keys_.data() + Flat(block) * key_block_bytes_;
}

const void* PackedOperands::Values(const BlockIndex& block) const {
  return values_.data() + Flat(block) * value_block_bytes_;
}

bool PackedOperands::HasNonFiniteValues(const BlockIndex& block) const {
  return has_non_finite_values_[static_cast<size_t>(Flat(block))] != 0;
}

void PackedOperands::Pack(const BlockIndex& block, int64_t key_count) {
  const int64_t padded_count = RoundUp(key_count, kColumnMultiple);
  PackKeys(block, key_count, padded_count);
  PackValues(block, key_count, padded_count);
}

// In both types a packed column is a column of 32-bit words: one f32, or a pair of BF16.
void PackedOperands::PackKeys(const BlockIndex& block, int64_t key_count, int64_t padded_count) {
  const int64_t words_per_row = plan_.inner_width * plan_.ElementBytes() / 4;
  constexpr int64_t kRowsAtOnce = 16;
  thread_local AlignedArray<uint32_t> rows;
  rows.Reserve(static_cast<size_t>(kRowsAtOnce * words_per_row));
  auto* destination = reinterpret_cast<uint32_t*>(keys_.data() + Flat(block) * key_block_bytes_);
  const int64_t first = block.block * plan_.key_columns;
  for (int64_t key = 0; key < padded_count; key += kRowsAtOnce) {
    for (int64_t row = 0; row < kRowsAtOnce; ++row) {
      uint32_t* target = rows.data() + row * words_per_row;
      if (key + row >= key_count) {
        std::fill_n(target, words_per_row, 0u);
        continue;
      }
      auto* bytes = reinterpret_cast<std::byte*>(target);
      const void* ready =
          ReadyRow(problem_.key, block, first + key + row, plan_, plan_.inner_width, bytes);
      if (ready != target)
        std::memcpy(target, ready, static_cast<size_t>(words_per_row) * sizeof(uint32_t));
    }
    TransposeWords(rows.data(), words_per_row, kRowsAtOnce, words_per_row, destination + key,
                   plan_.key_columns);
  }
}

void PackedOperands::PackValues(const BlockIndex& block, int64_t key_count, int64_t padded_count) {
  const int64_t width = problem_.value.extents[3];
  const int64_t row_bytes = plan_.value_stride * plan_.ElementBytes();
  thread_local AlignedArray<std::byte> pair;
  pair.Reserve(static_cast<size_t>(2 * row_bytes));
  std::byte* destination = values_.data() + Flat(block) * value_block_bytes_;
  const int64_t first = block.block * plan_.key_columns;
  bool finite = true;
  // Copies one row, with zeros for what is missing or not finite.
  const auto copy_row = [&](int64_t key, std::byte* target) {
    std::memset(target, 0, static_cast<size_t>(row_bytes));
    if (key >= key_count) return;
    const std::byte* source = RowAddress(problem_.value, block.batch, block.head, first + key);
    const bool row_finite = AllFinite(problem_.value.type, source, width);
    finite &= row_finite;
    const void* ready = ReadyRow(problem_.value, block, first + key, plan_, width, target);
    if (ready != target)
      std::memcpy(target, ready, static_cast<size_t>(width * plan_.ElementBytes()));
    if (row_finite) return;
    for (int64_t column = 0; column < width; ++column) {
      if (plan_.type == MatrixType::kF32) {
        auto& element = reinterpret_cast<float*>(target)[column];
        if (!std::isfinite(element)) element = 0;
      } else {
        auto& element = reinterpret_cast<uint16_t*>(target)[column];
        if ((element & kBF16ExponentMask) == kBF16ExponentMask) element = 0;
      }
    }
  };
  for (int64_t key = 0; key < padded_count; key += 2) {
    std::byte* target = destination + key * row_bytes;
    if (plan_.type == MatrixType::kF32) {
      copy_row(key, target);
      copy_row(key + 1, target + row_bytes);
      continue;
    }
    copy_row(key, pair.data());
    copy_row(key + 1, pair.data() + row_bytes);
    InterleaveHalfWords(reinterpret_cast<const uint16_t*>(pair.data()),
                        reinterpret_cast<const uint16_t*>(pair.data() + row_bytes),
                        plan_.value_stride, reinterpret_cast<uint16_t*>(target));
  }
  has_non_finite_values_[static_cast<size_t>(Flat(block))] = finite ? 0 : 1;
}

}  // namespace attention::kernels
