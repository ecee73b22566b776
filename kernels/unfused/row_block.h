// The second half of an unfused computation: from scores to weights to outputs, for a few query
// rows of one head.

#ifndef ATTENTION_KERNELS_UNFUSED_ROW_BLOCK_H_
#define ATTENTION_KERNELS_UNFUSED_ROW_BLOCK_H_

#include "kernels/unfused/column_pass.h"
#include "kernels/unfused/score_block.h"
#include "kernels/unfused/softmax_row.h"

namespace attention::kernels {

// What rows of one head leave behind or need to know, where anything does.
struct HeadState {
  const SoftmaxSum* columns = nullptr;  // [keys]: read by softmax over queries
  SoftmaxSum* rows = nullptr;  // [queries] or null: written by softmax over keys, each row's own
};

// Computes and writes all that is asked for of the block's rows, but for the key mass; the block
// spans all keys. Ends early if a stop is requested.
void ComputeRows(const UnfusedTask& task, const Block& block, const HeadState& state);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_ROW_BLOCK_H_
