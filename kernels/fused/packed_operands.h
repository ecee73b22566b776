// Keys and values in the form that the matrix kernels read, made once and shared by all queries.

#ifndef ATTENTION_KERNELS_FUSED_PACKED_OPERANDS_H_
#define ATTENTION_KERNELS_FUSED_PACKED_OPERANDS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// One (batch entry, key-value head, key block).
struct BlockIndex {
  int64_t batch = 0;
  int64_t head = 0;  // key-value head
  int64_t block = 0;
};

// Keys are transposed, [width, key_columns]; values keep their order, [key_columns, value_stride];
// BF16 rows are interleaved in pairs. Keys beyond the last real one are packed as zeros up to a
// multiple of kColumnMultiple. Values that are not finite are packed as 0, so that no product with
// a hidden one can give a NaN; whoever attends to them adds them afterwards (see
// HasNonFiniteValues).
class PackedOperands {
 public:
  // Reserves memory. Both arguments must outlive the object. Throws std::bad_alloc.
  PackedOperands(const AttentionProblem& problem, const TilePlan& plan);

  [[nodiscard]] int64_t block_count() const;
  [[nodiscard]] BlockIndex BlockAt(int64_t index) const;

  // Packs one block's first `key_count` keys and values. Once for each block that will be read;
  // different blocks from any threads.
  void Pack(const BlockIndex& block, int64_t key_count);

  [[nodiscard]] const void* Keys(const BlockIndex& block) const;
  [[nodiscard]] const void* Values(const BlockIndex& block) const;
  [[nodiscard]] bool HasNonFiniteValues(const BlockIndex& block) const;

 private:
  [[nodiscard]] int64_t Flat(const BlockIndex& block) const;
  void PackKeys(const BlockIndex& block, int64_t key_count, int64_t padded_count);
  void PackValues(const BlockIndex& block, int64_t key_count, int64_t padded_count);

  const AttentionProblem& problem_;
  const TilePlan& plan_;
  const int64_t key_block_bytes_;
  const int64_t value_block_bytes_;
  AlignedArray<std::byte> keys_;
  AlignedArray<std::byte> values_;
  std::vector<uint8_t> has_non_finite_values_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_PACKED_OPERANDS_H_
