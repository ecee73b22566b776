// The second half of an unfused computation: from scores to weights to outputs, for a few query
// rows of one head.

#ifndef ATTENTION_KERNELS_UNFUSED_ROW_BLOCK_H_
#define ATTENTION_KERNELS_UNFUSED_ROW_BLOCK_H_

#include "kernels/unfused/column_statistics.h"
#include "kernels/unfused/score_block.h"

namespace attention::kernels {

// Computes and writes all that is asked for of the block's rows; the block spans all keys.
// `columns`, [keys], are read only by softmax over queries. Returns false if a stop was requested.
[[nodiscard]] bool ComputeRows(const UnfusedTask& task, const Block& block,
                               const ColumnStatistics* columns);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_ROW_BLOCK_H_
