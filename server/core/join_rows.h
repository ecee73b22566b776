// Copies rows, and puts past and added ones into one array.

#ifndef ATTENTION_SERVER_CORE_JOIN_ROWS_H_
#define ATTENTION_SERVER_CORE_JOIN_ROWS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/execution.h"
#include "kernels/tensor_view.h"
#include "server/core/attention_task.h"

namespace attention::server {

// Rows [begin, end) of one head.
struct RowRange {
  int64_t batch;
  int64_t head;
  int64_t begin;
  int64_t end;
};

// To `target`, one after the other.
void CopyRows(const kernels::TensorView& source, const RowRange& range, std::byte* target);

struct RowsToJoin {
  JoinedRows source;
  kernels::MutableTensorView rows;  // dense, in the type of both parts
};

// rows[batch, head, i] = past[batch, head, i], or added[batch, head, i - past rows] from there on.
// Blocks of rows are shared out over the execution's threads where copying them takes longer than
// waking a thread. Blocks that begin after a stop was requested are left out. Does not allocate.
// Thread safety: reentrant.
void JoinRows(std::span<const RowsToJoin> joins, const kernels::Execution& execution);

}  // namespace attention::server

#endif  // ATTENTION_SERVER_CORE_JOIN_ROWS_H_
