// What softmax over queries needs to know about each key before any weight can be computed.

#ifndef ATTENTION_KERNELS_UNFUSED_COLUMN_STATISTICS_H_
#define ATTENTION_KERNELS_UNFUSED_COLUMN_STATISTICS_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/unfused/score_block.h"

namespace attention::kernels {

// Of the visible scores of one key: weight[i] = exp(score[i] - maximum) / sum.
struct ColumnStatistics {
  double maximum = -std::numeric_limits<double>::infinity();
  double sum = 0.0;  // of exp(score - maximum)
};

struct ColumnStatisticsResult {
  std::vector<ColumnStatistics> columns;  // [keys]
  int thread_count = 1;                   // that took part
  bool complete = false;  // false if a stop was requested; the columns are then unusable
};

// Those of one query head. Runs on the task's executor, an item for each range of keys, in one pass
// over the queries that rescales the sum whenever the maximum grows.
[[nodiscard]] ColumnStatisticsResult ComputeColumnStatistics(const UnfusedTask& task, int64_t batch,
                                                             int64_t head);

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_UNFUSED_COLUMN_STATISTICS_H_
