// Rows of queries: where they come from, and as the left operand of the matrix kernels.

#ifndef ATTENTION_KERNELS_FUSED_QUERY_ROWS_H_
#define ATTENTION_KERNELS_FUSED_QUERY_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"
#include "kernels/fused/row_visibility.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// Lists rows of a group (see TilePlan) from `first_row` on, without a division for each.
inline void ListGroupRows(int64_t key_value_head, int64_t group_size, int64_t first_row,
                          std::span<ScoreRow> rows) {
  const int64_t first_head = key_value_head * group_size;
  ScoreRow next = {.head = first_head + first_row % group_size, .query = first_row / group_size};
  for (ScoreRow& row : rows) {
    row = next;
    if (++next.head < first_head + group_size) continue;
    next.head = first_head;
    ++next.query;
  }
}

// One row of numbers as the matrix kernels read it, filled up with zeros to the inner width: part i
// of split numbers at target + i * part_bytes.
void PackRow(DataType type, const TilePlan& plan, const std::byte* source, int64_t width,
             std::byte* target, int64_t part_bytes);

// Rows of a batch entry in the type of the matrix kernels, [padded_row_count, inner width], with
// zero rows at the end; all parts of split numbers one after the other. In `storage`, unless they
// lie ready in memory. Throws std::bad_alloc.
[[nodiscard]] const std::byte* PackQueryRows(const AttentionProblem& problem, const TilePlan& plan,
                                             int64_t batch, std::span<const ScoreRow> rows,
                                             int64_t padded_row_count,
                                             AlignedArray<std::byte>& storage);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_QUERY_ROWS_H_
