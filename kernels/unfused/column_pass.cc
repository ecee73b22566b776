#include "kernels/unfused/column_pass.h"

#include <algorithm>
#include <cmath>

namespace attention::kernels {
namespace {

constexpr int64_t kKeysPerItem = 64;

// Calls visit(query, key, score) for the visible pairs of a range of keys, queries in ascending
// order. Ends early if a stop is requested.
template <typename Visit>
void VisitBlock(const UnfusedTask& task, Block block, const Visit& visit) {
  const int64_t query_count = task.problem.query.extents[2];
  const int64_t queries_per_block = QueriesPerBlock(block.key_count);
  BlockScores scores;
  for (block.first_query = 0; block.first_query < query_count;
       block.first_query += queries_per_block) {
    block.query_count = std::min(queries_per_block, query_count - block.first_query);
    if (!ComputeScores(task, block, scores)) return;
    for (int64_t pair = 0; pair < block.query_count * block.key_count; ++pair) {
      const auto index = static_cast<size_t>(pair);
      if (scores.visible[index] == 0) continue;
      visit(static_cast<size_t>(block.first_query + pair / block.key_count),
            static_cast<size_t>(block.first_key + pair % block.key_count), scores.masked[index]);
    }
  }
}

template <typename Visit>
int VisitColumns(const UnfusedTask& task, int64_t batch, int64_t head, const Visit& visit) {
  const int64_t key_count = task.problem.key.extents[2];
  return RunItems(task.execution, DivideUp(key_count, kKeysPerItem), [&](int64_t item) {
    const int64_t first_key = item * kKeysPerItem;
    const Block block = {.batch = batch,
                         .head = head,
                         .first_query = 0,
                         .query_count = 0,
                         .first_key = first_key,
                         .key_count = std::min(kKeysPerItem, key_count - first_key)};
    VisitBlock(task, block, visit);
  });
}

void Include(double score, SoftmaxSum& column) {
  if (score > column.maximum) {
    // 1, but NaN of an infinite score, whatever follows.
    const double own_weight = std::exp(score - score);
    column.sum = column.sum * std::exp(column.maximum - score) + own_weight;
    column.maximum = score;
  } else if (score != -std::numeric_limits<double>::infinity()) {
    column.sum +=
        std::exp(score - column.maximum);  // a NaN score comes here, too, and stays in the sum
  }
}

}  // namespace

int ComputeColumnSums(const UnfusedTask& task, int64_t batch, int64_t head,
                      std::vector<SoftmaxSum>& columns) {
  columns.assign(static_cast<size_t>(task.problem.key.extents[2]), {});
  return VisitColumns(task, batch, head, [&](size_t /*query*/, size_t key, double score) {
    Include(score, columns[key]);
  });
}

int ComputeKeyMass(const UnfusedTask& task, int64_t batch, int64_t head,
                   const std::vector<SoftmaxSum>& rows, std::vector<double>& mass) {
  mass.assign(static_cast<size_t>(task.problem.key.extents[2]), 0.0);
  return VisitColumns(task, batch, head, [&](size_t query, size_t key, double score) {
    mass[key] += rows[query].Weight(score);
  });
}

}  // namespace attention::kernels
