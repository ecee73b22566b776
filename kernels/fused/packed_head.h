// Keys and values of one head in the form that the matrix kernels read.

#ifndef ATTENTION_KERNELS_FUSED_PACKED_HEAD_H_
#define ATTENTION_KERNELS_FUSED_PACKED_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"
#include "kernels/elementwise/pack_rows.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// What a thread keeps of packed operands for its next use, at most.
inline constexpr int64_t kKeptPackedBytes = int64_t{64} << 20;

// One key-value head of one batch entry. Blocks are packed at their first use, while they are in
// the cache, and serve all tiles of all query heads of the group.
//
// Keys are transposed, [width, key_columns]; values keep their rows, [key_columns, value_stride].
// As BF16, keys are interleaved in pairs along the width, and values in pairs of rows (i, i + 16)
// within each 32, which is the order in which the softmax writes its weights. Split operands have
// all parts of a block one after the other. Keys beyond the last one that is read are zeros, as are
// their values in BF16; in F32 they are never read.
//
// Values that are not finite are packed as 0, so that no product with a hidden one can give a NaN;
// whoever attends to them adds them afterwards (HasNonFiniteValues). Values that lie as they would
// be packed stay where they are, unchecked (HasUncheckedValues), unless clean ones are asked for.
// Of split operands, keys and values that cannot be split are zeros altogether (unsplittable_keys).
class PackedHead {
 public:
  struct Options {
    bool keeps_blocks = true;   // or only the one that was required last: one pass needs no more
    bool clean_values = false;  // whether all values are checked
  };

  // Forgets what was packed and makes room. Problem and plan must outlive the use. Keys
  // [0, read_key_count) will be read at most. Throws std::bad_alloc.
  void Begin(const AttentionProblem& problem, const TilePlan& plan, int64_t batch, int64_t head,
             int64_t read_key_count, const Options& options);

  // Packs a block unless it is packed. Different blocks from any threads, if they are kept.
  void Require(int64_t block);

  // From a key of the block that was required last, or of any that was if they are kept, on: a
  // multiple of the plan's column multiple.
  [[nodiscard]] const std::byte* Keys(int64_t key) const;
  [[nodiscard]] const std::byte* Values(int64_t key) const;
  [[nodiscard]] bool HasNonFiniteValues(int64_t block) const;

  // Whether there may be values that are not finite beside those that HasNonFiniteValues tells of.
  [[nodiscard]] bool HasUncheckedValues() const { return values_in_place_; }

  // Keys of a block that no split can hold, in a key or in its value; in ascending order.
  [[nodiscard]] const std::vector<int64_t>& UnsplittableKeys(int64_t block) const;

  [[nodiscard]] int64_t batch() const { return batch_; }
  [[nodiscard]] int64_t head() const { return head_; }

  // Bytes that Begin makes room for if it keeps all blocks.
  [[nodiscard]] static int64_t PackedBytes(const TilePlan& plan);

  // Bytes that there is room for.
  [[nodiscard]] int64_t room_bytes() const {
    return static_cast<int64_t>(keys_.size() + values_.size() + blocks_.capacity() * sizeof(Block));
  }

  // Gives memory back if there is more than `byte_count` of it.
  void ReleaseAbove(int64_t byte_count);

 private:
  struct Block {
    bool packed = false;
    const std::byte* values = nullptr;  // of its first key
    bool has_non_finite_values = false;
    std::vector<int64_t> unsplittable_keys;
  };

  // Of the block that is being packed.
  struct Rows {
    int64_t first = 0;
    int64_t count = 0;
    int64_t padded_count = 0;
  };

  [[nodiscard]] bool SplitsF32() const;
  [[nodiscard]] bool ValuesLieAsPacked() const;
  [[nodiscard]] std::byte* KeysOfBlock(int64_t block) const;
  [[nodiscard]] std::byte* PackedValuesOfBlock(int64_t block) const;
  [[nodiscard]] NumberRows ValueRows(const Rows& rows) const;
  void FindUnsplittableKeys(const Rows& rows, Block& block) const;
  void PackKeys(const Rows& rows, const Block& block, std::byte* destination) const;
  void PackSplitValues(const Rows& rows, const Block& block, std::byte* destination) const;

  const AttentionProblem* problem_ = nullptr;
  const TilePlan* plan_ = nullptr;
  int64_t batch_ = 0;
  int64_t head_ = 0;
  int64_t read_key_count_ = 0;
  bool keeps_blocks_ = true;
  bool values_in_place_ = false;
  int64_t last_block_ = -1;  // that was required, unless blocks are kept
  int64_t key_part_bytes_ = 0;
  int64_t value_part_bytes_ = 0;
  AlignedArray<std::byte> keys_;
  AlignedArray<std::byte> values_;
  std::vector<Block> blocks_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_PACKED_HEAD_H_
