// Keys and values of one head in the form that the matrix kernels read.

#ifndef ATTENTION_KERNELS_FUSED_PACKED_HEAD_H_
#define ATTENTION_KERNELS_FUSED_PACKED_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// One key-value head of one batch entry. Blocks are packed at their first use, while they are in
// the cache, and serve all tiles of all query heads of the group.
//
// Keys are transposed, [width, key_columns]; values keep their rows, [key_columns, value_stride].
// As BF16, keys are interleaved in pairs along the width, and values in pairs of rows (i, i + 16)
// within each 32, which is the order in which the softmax writes its weights. Split operands have
// all parts of a block one after the other. Keys beyond the last one that is read are zeros.
//
// Values that are not finite are packed as 0, so that no product with a hidden one can give a NaN;
// whoever attends to them adds them afterwards (HasNonFiniteValues). Of split operands, keys and
// values that cannot be split are zeros altogether (unsplittable_keys).
class PackedHead {
 public:
  // Forgets what was packed and makes room. Both arguments must outlive the use. Keys
  // [0, read_key_count) will be read at most. Throws std::bad_alloc.
  void Begin(const AttentionProblem& problem, const TilePlan& plan, int64_t batch, int64_t head,
             int64_t read_key_count);

  // Packs a block unless it is packed. Different blocks from any threads.
  void Require(int64_t block);

  // From a key of a block that was required, a multiple of the plan's column multiple, on.
  [[nodiscard]] const std::byte* Keys(int64_t key) const;
  [[nodiscard]] const std::byte* Values(int64_t key) const;
  [[nodiscard]] bool HasNonFiniteValues(int64_t block) const;

  // Keys of a block that no split can hold, in a key or in its value; in ascending order.
  [[nodiscard]] const std::vector<int64_t>& UnsplittableKeys(int64_t block) const;

  [[nodiscard]] int64_t key_part_bytes() const { return key_part_bytes_; }
  [[nodiscard]] int64_t value_part_bytes() const { return value_part_bytes_; }
  [[nodiscard]] int64_t batch() const { return batch_; }
  [[nodiscard]] int64_t head() const { return head_; }

  // Bytes that Begin makes room for.
  [[nodiscard]] static int64_t PackedBytes(const TilePlan& plan);

  // Gives memory back if there is more than `byte_count` of it.
  void ReleaseAbove(int64_t byte_count);

 private:
  struct Block {
    bool packed = false;
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
  [[nodiscard]] std::byte* KeysOfBlock(int64_t block) const;
  [[nodiscard]] std::byte* ValuesOfBlock(int64_t block) const;
  void FindUnsplittableKeys(const Rows& rows, Block& block) const;
  void PackKeys(const Rows& rows, const Block& block, std::byte* destination) const;
  [[nodiscard]] bool PackF32Values(const Rows& rows, std::byte* destination) const;
  [[nodiscard]] bool PackBF16Values(const Rows& rows, std::byte* destination) const;
  void PackSplitValues(const Rows& rows, const Block& block, std::byte* destination) const;

  const AttentionProblem* problem_ = nullptr;
  const TilePlan* plan_ = nullptr;
  int64_t batch_ = 0;
  int64_t head_ = 0;
  int64_t read_key_count_ = 0;
  int64_t key_part_bytes_ = 0;
  int64_t value_part_bytes_ = 0;
  AlignedArray<std::byte> keys_;
  AlignedArray<std::byte> values_;
  std::vector<Block> blocks_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_PACKED_HEAD_H_
