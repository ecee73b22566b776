// Rows of queries: where they come from, and as the left operand of the matrix kernels.

#ifndef ATTENTION_KERNELS_FUSED_QUERY_ROWS_H_
#define ATTENTION_KERNELS_FUSED_QUERY_ROWS_H_

#include <cstddef>
#include <cstdint>

#include "kernels/aligned_array.h"
#include "kernels/attend.h"
#include "kernels/fused/row_visibility.h"
#include "kernels/fused/tile_plan.h"

namespace attention::kernels {

// Consecutive rows of a group (see TilePlan), counted from the first one.
struct GroupRows {
  int64_t batch;
  int64_t key_value_head;
  int64_t group_size;
  int64_t first_row;
  int64_t row_count;

  [[nodiscard]] ScoreRow At(int64_t row) const {
    const int64_t group_row = first_row + row;
    return {.head = key_value_head * group_size + group_row % group_size,
            .query = group_row / group_size};
  }

  // Writes all of them, without a division for each.
  void List(ScoreRow* rows) const {
    ScoreRow next = At(0);
    const int64_t end_of_group = (key_value_head + 1) * group_size;
    for (int64_t row = 0; row < row_count; ++row) {
      rows[row] = next;
      if (++next.head < end_of_group) continue;
      next.head -= group_size;
      ++next.query;
    }
  }

  [[nodiscard]] const std::byte* Address(const TensorView& query, int64_t row) const {
    const ScoreRow score_row = At(row);
    return RowAddress(query, batch, score_row.head, score_row.query);
  }
};

// The rows in the type of the matrix kernels, [padded_row_count, inner width], with zero rows at
// the end; all parts of split numbers one after the other. In `storage`, unless they lie ready in
// memory. Throws std::bad_alloc.
[[nodiscard]] const std::byte* PackQueryRows(const AttentionProblem& problem, const TilePlan& plan,
                                             const GroupRows& rows, int64_t padded_row_count,
                                             AlignedArray<std::byte>& storage);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_QUERY_ROWS_H_
