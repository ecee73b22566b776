#include "kernels/unfused/unfused_float64.h"

#include <algorithm>
#include <vector>

#include "kernels/convert.h"
#include "kernels/unfused/column_pass.h"
#include "kernels/unfused/row_block.h"
#include "kernels/unfused/score_function.h"

namespace attention::kernels {
namespace {

// Computes all rows of `head_count` heads from `first_head` on, counted over all batch entries.
// `state` is that of the one head, where there is any. Returns how many threads took part.
int ComputeHeads(const UnfusedTask& task, int64_t first_head, int64_t head_count,
                 const HeadState& state) {
  const Extents& query = task.problem.query.extents;
  const int64_t key_count = task.problem.key.extents[2];
  const int64_t queries_per_block = QueriesPerBlock(key_count);
  const int64_t blocks_per_head = DivideUp(query[2], queries_per_block);
  return RunItems(task.execution, head_count * blocks_per_head, [&](int64_t item) {
    const int64_t head = first_head + item / blocks_per_head;
    const int64_t first_query = item % blocks_per_head * queries_per_block;
    const Block block = {.batch = head / query[1],
                         .head = head % query[1],
                         .first_query = first_query,
                         .query_count = std::min(queries_per_block, query[2] - first_query),
                         .first_key = 0,
                         .key_count = key_count};
    ComputeRows(task, block, state);
  });
}

void StoreKeyMass(const MutableTensorView& key_mass, int64_t head,
                  const std::vector<double>& mass) {
  const int64_t head_count = key_mass.extents[1];
  StoreElements(key_mass.type, mass.data(), static_cast<int64_t>(mass.size()),
                RowAddress(key_mass, head / head_count, head % head_count, 0));
}

// Head by head, so that only one head's columns or rows are remembered at a time. Returns how many
// threads took part.
int ComputeHeadByHead(const UnfusedTask& task) {
  const Extents& query = task.problem.query.extents;
  std::vector<SoftmaxSum> columns;
  std::vector<SoftmaxSum> rows(static_cast<size_t>(query[2]));
  std::vector<double> mass;
  int threads = 1;
  for (int64_t head = 0; head < query[0] * query[1]; ++head) {
    const int64_t batch = head / query[1];
    const int64_t head_of_batch = head % query[1];
    if (task.options.normalization == Normalization::kSoftmaxOverQueries) {
      threads = std::max(threads, ComputeColumnSums(task, batch, head_of_batch, columns));
      if (StopRequested(task.execution)) break;
    }
    const HeadState state = {.columns = columns.data(), .rows = rows.data()};
    threads = std::max(threads, ComputeHeads(task, head, 1, state));
    if (StopRequested(task.execution)) break;
    if (!task.outputs.key_mass.present()) continue;
    threads = std::max(threads, ComputeKeyMass(task, batch, head_of_batch, rows, mass));
    StoreKeyMass(task.outputs.key_mass, head, mass);
  }
  return threads;
}

// Without queries there is nothing to compute, however many heads there are, and one result to
// write.
void ComputeWithoutQueries(const AttentionProblem& problem, const AttentionOutputs& outputs) {
  if (!outputs.key_mass.present()) return;
  const int64_t row_count = problem.query.extents[0] * problem.query.extents[1];
  const std::vector<double> zeros(static_cast<size_t>(problem.key.extents[2]), 0.0);
  for (int64_t head = 0; head < row_count; ++head) StoreKeyMass(outputs.key_mass, head, zeros);
}

class UnfusedFloat64Implementation final : public Implementation {
 public:
  std::string_view name() const override { return "unfused-float64"; }
  std::string_view description() const override {
    return "every option, in float64, on any machine";
  }
  bool supported_by_runtime_system() const override { return true; }
  absl::Status CapInstructionSets() const override { return absl::OkStatus(); }
  bool Offers(const AttentionProblem& problem, const AttentionOptions&) const override {
    return !problem.rotary.has_value();
  }

  absl::StatusOr<AttentionReport> Run(const AttentionProblem& problem,
                                      const AttentionOptions& options,
                                      const AttentionOutputs& outputs,
                                      const Execution& execution) const override {
    AttentionReport report = {.implementation = name(), .precision = "f64", .thread_count = 1};
    const Extents& query = problem.query.extents;
    if (query[0] == 0 || query[2] == 0) {
      ComputeWithoutQueries(problem, outputs);
      return report;
    }
    const ScoreFunction score_function(problem, options);
    const RelativeBias relative_bias(problem.alibi, problem.bucketed_bias, query[1]);
    const UnfusedTask task = {problem, options, outputs, execution, score_function, relative_bias};
    const bool sums_over_queries =
        options.normalization == Normalization::kSoftmaxOverQueries || outputs.key_mass.present();
    report.thread_count = sums_over_queries ? ComputeHeadByHead(task)
                                            : ComputeHeads(task, 0, query[0] * query[1], {});
    if (StopRequested(execution)) return absl::CancelledError("stopped on request");
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
