// A pass over the scores of one query head key by key, for what is summed over queries.

#ifndef ATTENTION_KERNELS_UNFUSED_COLUMN_PASS_H_
#define ATTENTION_KERNELS_UNFUSED_COLUMN_PASS_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/unfused/score_block.h"
#include "kernels/unfused/softmax_row.h"

namespace attention::kernels {

// Both run on the task's executor, an item for each range of keys, in one pass over the queries,
// whose order never depends on the threads, and return how many threads took part. If a stop was
// requested, what they computed is unusable.

// What softmax over queries normalizes the scores of each key with, `columns`, [keys]. The sums are
// rescaled whenever a maximum grows.
[[nodiscard]] int ComputeColumnSums(const UnfusedTask& task, int64_t batch, int64_t head,
                                    std::vector<SoftmaxSum>& columns);

// Sums the weights of each key, [keys], over all queries, whose `rows`, [queries], are known.
[[nodiscard]] int ComputeKeyMass(const UnfusedTask& task, int64_t batch, int64_t head,
                                 const std::vector<SoftmaxSum>& rows, std::vector<double>& mass);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_COLUMN_PASS_H_
