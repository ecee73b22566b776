#include "kernels/unfused/unfused_float64.h"

#include <algorithm>
#include <atomic>

#include "kernels/unfused/column_statistics.h"
#include "kernels/unfused/row_block.h"
#include "kernels/unfused/score_function.h"

namespace attention::kernels {
namespace {

struct Progress {
  int thread_count = 1;
  bool complete = false;  // false if a stop was requested
};

// Computes all rows of `head_count` heads from `first_head` on, counted over all batch entries.
// `columns` are those of the one head, for softmax over queries.
Progress ComputeHeads(const UnfusedTask& task, int64_t first_head, int64_t head_count,
                      const ColumnStatistics* columns) {
  const Extents& query = task.problem.query.extents;
  const int64_t key_count = task.problem.key.extents[2];
  const int64_t queries_per_block = QueriesPerBlock(key_count);
  const int64_t blocks_per_head = (query[2] + queries_per_block - 1) / queries_per_block;
  const int64_t item_count = head_count * blocks_per_head;
  std::atomic<int64_t> finished_item_count = 0;
  const int thread_count = RunItems(task.execution, item_count, [&](int64_t item) {
    const int64_t head = first_head + item / blocks_per_head;
    const int64_t first_query = item % blocks_per_head * queries_per_block;
    const Block block = {.batch = head / query[1],
                         .head = head % query[1],
                         .first_query = first_query,
                         .query_count = std::min(queries_per_block, query[2] - first_query),
                         .first_key = 0,
                         .key_count = key_count};
    if (ComputeRows(task, block, columns)) ++finished_item_count;
  });
  return {.thread_count = thread_count, .complete = finished_item_count == item_count};
}

// Head by head, so that only one head's statistics exist at a time.
Progress ComputeWithSoftmaxOverQueries(const UnfusedTask& task) {
  const Extents& query = task.problem.query.extents;
  Progress progress = {.thread_count = 1, .complete = true};
  for (int64_t head = 0; head < query[0] * query[1] && progress.complete; ++head) {
    const ColumnStatisticsResult statistics =
        ComputeColumnStatistics(task, head / query[1], head % query[1]);
    if (!statistics.complete) return {};
    const Progress rows = ComputeHeads(task, head, 1, statistics.columns.data());
    progress.complete = rows.complete;
    progress.thread_count =
        std::max({progress.thread_count, statistics.thread_count, rows.thread_count});
  }
  return progress;
}

class UnfusedFloat64Implementation final : public Implementation {
 public:
  std::string_view name() const override { return "unfused-float64"; }
  std::string_view description() const override {
    return "every option, in float64, on any machine";
  }
  bool supported_by_runtime_system() const override { return true; }
  bool Offers(const AttentionProblem&, const AttentionOptions&,
              const AttentionOutputs&) const override {
    return true;
  }

  absl::StatusOr<AttentionReport> Run(const AttentionProblem& problem,
                                      const AttentionOptions& options,
                                      const AttentionOutputs& outputs,
                                      const Execution& execution) const override {
    AttentionReport report = {.implementation = name(), .precision = "f64", .thread_count = 1};
    const Extents& query = problem.query.extents;
    if (query[0] == 0 || query[2] == 0)
      return report;  // nothing to write, however many heads there are
    const ScoreFunction score_function(problem, options);
    const RelativeBias relative_bias(problem.alibi, problem.bucketed_bias, query[1]);
    const UnfusedTask task = {problem, options, outputs, execution, score_function, relative_bias};
    const Progress progress = options.normalization == Normalization::kSoftmaxOverQueries
                                  ? ComputeWithSoftmaxOverQueries(task)
                                  : ComputeHeads(task, 0, query[0] * query[1], nullptr);
    if (!progress.complete) return absl::CancelledError("stopped on request");
    report.thread_count = progress.thread_count;
    return report;
  }
};

}  // namespace

const Implementation& UnfusedFloat64() {
  static const UnfusedFloat64Implementation* const implementation =
      new UnfusedFloat64Implementation;
  return *implementation;
}

}  // namespace attention::kernels
