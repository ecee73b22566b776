#include "kernels/unfused/column_statistics.h"

#include <algorithm>
#include <atomic>
#include <cmath>

namespace attention::kernels {
namespace {

constexpr int64_t kKeysPerItem = 64;

void Include(double score, ColumnStatistics& column) {
  if (score > column.maximum) {
    column.sum = column.sum * std::exp(column.maximum - score) + 1.0;
    column.maximum = score;
  } else {
    column.sum +=
        std::exp(score - column.maximum);  // a NaN score comes here, too, and stays in the sum
  }
}

// Accumulates block.key_count columns over all queries. Returns false if a stop was requested.
bool AccumulateColumns(const UnfusedTask& task, Block block, ColumnStatistics* columns) {
  const int64_t query_count = task.problem.query.extents[2];
  const int64_t queries_per_block = QueriesPerBlock(block.key_count);
  BlockScores scores;
  for (block.first_query = 0; block.first_query < query_count;
       block.first_query += queries_per_block) {
    block.query_count = std::min(queries_per_block, query_count - block.first_query);
    if (!ComputeScores(task, block, scores)) return false;
    for (int64_t pair = 0; pair < block.query_count * block.key_count; ++pair) {
      const auto index = static_cast<size_t>(pair);
      if (scores.visible[index] != 0)
        Include(scores.masked[index], columns[pair % block.key_count]);
    }
  }
  return true;
}

}  // namespace

ColumnStatisticsResult ComputeColumnStatistics(const UnfusedTask& task, int64_t batch,
                                               int64_t head) {
  const int64_t key_count = task.problem.key.extents[2];
  const int64_t item_count = (key_count + kKeysPerItem - 1) / kKeysPerItem;
  ColumnStatisticsResult result;
  result.columns.resize(static_cast<size_t>(key_count));
  std::atomic<int64_t> finished_item_count = 0;
  result.thread_count = RunItems(task.execution, item_count, [&](int64_t item) {
    const int64_t first_key = item * kKeysPerItem;
    const Block block = {.batch = batch,
                         .head = head,
                         .first_query = 0,
                         .query_count = 0,
                         .first_key = first_key,
                         .key_count = std::min(kKeysPerItem, key_count - first_key)};
    if (AccumulateColumns(task, block, result.columns.data() + first_key)) ++finished_item_count;
  });
  result.complete = finished_item_count == item_count;
  return result;
}

}  // namespace attention::kernels
