// Puts past and added rows into one array.

#ifndef ATTENTION_SERVER_CORE_JOIN_ROWS_H_
#define ATTENTION_SERVER_CORE_JOIN_ROWS_H_

#include <span>

#include "kernels/execution.h"
#include "kernels/tensor_view.h"
#include "server/core/attention_task.h"

namespace attention::server {

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
