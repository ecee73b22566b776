#include "kernels/fused/packed_head.h"

#include <algorithm>
#include <cstring>

#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/query_rows.h"

namespace attention::kernels {
namespace {

constexpr int64_t kRowsAtOnce = 16;

// Rows in the element type of the matrix kernels. A thread keeps those of a few thousand numbers.
template <class T>
class ScratchRows {
 public:
  explicit ScratchRows(int64_t count) { rows.Reserve(static_cast<size_t>(count)); }
  ~ScratchRows() { rows.ReleaseAbove(kKeptBytes); }
  ScratchRows(const ScratchRows&) = delete;
  ScratchRows& operator=(const ScratchRows&) = delete;

  [[nodiscard]] T* data() const { return rows.data(); }

 private:
  static constexpr size_t kKeptBytes = size_t{1} << 20;
  static inline thread_local AlignedArray<T> rows;
};

}  // namespace

int64_t PackedHead::PackedBytes(const TilePlan& plan) {
  return plan.key_block_count * plan.products->part_count * plan.ElementBytes() *
         (plan.inner_width * plan.key_stride + plan.key_columns * plan.value_stride);
}

void PackedHead::Begin(const AttentionProblem& problem, const TilePlan& plan, int64_t batch,
                       int64_t head, int64_t read_key_count, const Options& options) {
  problem_ = &problem;
  plan_ = &plan;
  batch_ = batch;
  head_ = head;
  read_key_count_ = read_key_count;
  keeps_blocks_ = options.keeps_blocks;
  values_in_place_ = !options.clean_values && ValuesLieAsPacked();
  last_block_ = -1;
  key_part_bytes_ = plan.inner_width * plan.key_stride * plan.ElementBytes();
  value_part_bytes_ = plan.key_columns * plan.value_stride * plan.ElementBytes();
  const int64_t kept_blocks = keeps_blocks_ ? plan.key_block_count : 1;
  const int64_t parts = kept_blocks * plan.products->part_count;
  keys_.Reserve(static_cast<size_t>(parts * key_part_bytes_));
  values_.Reserve(static_cast<size_t>(parts * value_part_bytes_));
  if (blocks_.size() < static_cast<size_t>(plan.key_block_count)) {
    blocks_.resize(static_cast<size_t>(plan.key_block_count));
  }
  for (Block& block : blocks_) {
    block.packed = false;
    block.has_non_finite_values = false;
    block.unsplittable_keys.clear();
  }
}

void PackedHead::ReleaseAbove(int64_t byte_count) {
  if (room_bytes() > byte_count) *this = PackedHead();
}

std::byte* PackedHead::KeysOfBlock(int64_t block) const {
  return keys_.data() + (keeps_blocks_ ? block : 0) * plan_->products->part_count * key_part_bytes_;
}

std::byte* PackedHead::PackedValuesOfBlock(int64_t block) const {
  return values_.data() +
         (keeps_blocks_ ? block : 0) * plan_->products->part_count * value_part_bytes_;
}

const std::byte* PackedHead::Keys(int64_t key) const {
  // A packed column is one of 32-bit words in every type.
  return KeysOfBlock(key / plan_->key_columns) +
         key % plan_->key_columns * static_cast<int64_t>(sizeof(uint32_t));
}

const std::byte* PackedHead::Values(int64_t key) const {
  return blocks_[static_cast<size_t>(key / plan_->key_columns)].values +
         key % plan_->key_columns * plan_->value_stride * plan_->ElementBytes();
}

bool PackedHead::HasNonFiniteValues(int64_t block) const {
  return blocks_[static_cast<size_t>(block)].has_non_finite_values;
}

const std::vector<int64_t>& PackedHead::UnsplittableKeys(int64_t block) const {
  return blocks_[static_cast<size_t>(block)].unsplittable_keys;
}

bool PackedHead::SplitsF32() const {
  return plan_->products->bf16 && problem_->key.type == DataType::kF32;
}

// As rows of f32, one after the other.
bool PackedHead::ValuesLieAsPacked() const {
  const TensorView& view = problem_->value;
  return !plan_->products->bf16 && view.type == DataType::kF32 &&
         view.extents[3] == plan_->value_stride && view.strides[2] == plan_->value_stride;
}

NumberRows PackedHead::ValueRows(const Rows& rows) const {
  const TensorView& view = problem_->value;
  return {.type = view.type,
          .data = rows.count > 0 ? RowAddress(view, batch_, head_, rows.first) : nullptr,
          .stride_bytes = view.strides[2] * static_cast<int64_t>(ElementBytes(view.type)),
          .row_count = rows.count,
          .width = view.extents[3]};
}

void PackedHead::Require(int64_t block_index) {
  Block& block = blocks_[static_cast<size_t>(block_index)];
  if (block.packed) return;
  if (!keeps_blocks_) {
    if (last_block_ >= 0) blocks_[static_cast<size_t>(last_block_)].packed = false;
    last_block_ = block_index;
  }
  Rows rows;
  rows.first = block_index * plan_->key_columns;
  rows.count = std::min(plan_->key_columns, read_key_count_ - rows.first);
  rows.padded_count = plan_->PaddedColumns(rows.count);
  std::byte* keys = KeysOfBlock(block_index);
  std::byte* values = PackedValuesOfBlock(block_index);
  block.values = values;
  if (SplitsF32()) {
    FindUnsplittableKeys(rows, block);
    PackKeys(rows, block, keys);
    PackSplitValues(rows, block, values);
  } else {
    PackKeys(rows, block, keys);
    if (values_in_place_) {
      block.values = ValueRows(rows).data;
    } else if (plan_->products->bf16) {
      block.has_non_finite_values = !InterleaveFiniteBF16(
          ValueRows(rows), reinterpret_cast<uint16_t*>(values), plan_->value_stride);
    } else {
      // The columns between the width and the stride are never read.
      block.has_non_finite_values =
          !CopyFiniteToF32(ValueRows(rows), reinterpret_cast<float*>(values), plan_->value_stride);
    }
  }
  block.packed = true;
}

void PackedHead::FindUnsplittableKeys(const Rows& rows, Block& block) const {
  block.unsplittable_keys.clear();
  for (int64_t key = rows.first; key < rows.first + rows.count; ++key) {
    const auto row = [&](const TensorView& view) {
      return reinterpret_cast<const float*>(RowAddress(view, batch_, head_, key));
    };
    if (!AllSplittable(row(problem_->key), problem_->key.extents[3]) ||
        !AllSplittable(row(problem_->value), problem_->value.extents[3])) {
      block.unsplittable_keys.push_back(key);
    }
  }
}

// In every type a packed column is a column of 32-bit words: one f32, or a pair of BF16.
void PackedHead::PackKeys(const Rows& rows, const Block& block, std::byte* destination) const {
  const TensorView& view = problem_->key;
  const int64_t width = view.extents[3];
  const int64_t row_bytes = plan_->inner_width * plan_->ElementBytes();
  const int64_t row_words = row_bytes / static_cast<int64_t>(sizeof(uint32_t));
  const bool bf16 = plan_->products->bf16;
  const bool same_type = view.type == (bf16 ? DataType::kBF16 : DataType::kF32);
  const bool in_place = same_type && width == plan_->inner_width;
  const int part_count = plan_->products->part_count;
  const ScratchRows<std::byte> scratch_rows(in_place ? 0 : part_count * kRowsAtOnce * row_bytes);
  std::byte* scratch = scratch_rows.data();
  for (int64_t row = 0; row < rows.padded_count; row += kRowsAtOnce) {
    const int64_t count = std::clamp<int64_t>(rows.count - row, 0, kRowsAtOnce);
    WordRows source = {.data = nullptr, .stride_bytes = row_bytes, .row_count = count};
    if (in_place) {
      source.data = count > 0 ? RowAddress(view, batch_, head_, rows.first + row) : nullptr;
      source.stride_bytes = view.strides[2] * static_cast<int64_t>(ElementBytes(view.type));
    } else {
      for (int64_t i = 0; i < count; ++i) {
        const std::byte* key = RowAddress(view, batch_, head_, rows.first + row + i);
        PackRow(view.type, *plan_, key, width, scratch + i * row_bytes, kRowsAtOnce * row_bytes);
      }
      for (const int64_t unsplittable : block.unsplittable_keys) {
        const int64_t i = unsplittable - rows.first - row;
        if (i < 0 || i >= count) continue;
        for (int index = 0; index < part_count; ++index) {
          std::memset(scratch + (index * kRowsAtOnce + i) * row_bytes, 0,
                      static_cast<size_t>(row_bytes));
        }
      }
      source.data = scratch;
    }
    for (int index = 0; index < part_count; ++index) {
      TransposeWords(source, row_words,
                     reinterpret_cast<uint32_t*>(destination + index * key_part_bytes_) + row,
                     plan_->key_stride);
      if (!in_place) source.data += kRowsAtOnce * row_bytes;
    }
  }
}

void PackedHead::PackSplitValues(const Rows& rows, const Block& block,
                                 std::byte* destination) const {
  const TensorView& view = problem_->value;
  const int64_t width = view.extents[3];
  const int part_count = plan_->products->part_count;
  const ScratchRows<uint16_t> scratch_rows(2 * part_count * width);
  uint16_t* scratch = scratch_rows.data();
  auto* target = reinterpret_cast<uint16_t*>(destination);
  const auto& left_out = block.unsplittable_keys;
  // The parts of one row, or null for a row of zeros.
  const auto split = [&](int64_t row, uint16_t* parts) -> const uint16_t* {
    if (row >= rows.count) return nullptr;
    if (std::binary_search(left_out.begin(), left_out.end(), rows.first + row)) return nullptr;
    const auto part = [&](int index) {
      return index < part_count ? parts + index * width : nullptr;
    };
    SplitToBF16(reinterpret_cast<const float*>(RowAddress(view, batch_, head_, rows.first + row)),
                width, {part(0), part(1), part(2)});
    return parts;
  };
  for (int64_t group = 0; group < rows.padded_count; group += kPairedColumns) {
    for (int64_t i = 0; i < kPairDistance; ++i, target += 2 * plan_->value_stride) {
      const uint16_t* even = split(group + i, scratch);
      const uint16_t* odd = split(group + kPairDistance + i, scratch + part_count * width);
      for (int index = 0; index < part_count; ++index) {
        const auto of_part = [&](const uint16_t* parts) {
          return parts == nullptr ? nullptr : parts + index * width;
        };
        InterleaveBF16(of_part(even), of_part(odd), width,
                       target + index * value_part_bytes_ / static_cast<int64_t>(sizeof(uint16_t)));
      }
    }
  }
}

}  // namespace attention::kernels
