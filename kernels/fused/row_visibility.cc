#include "kernels/fused/row_visibility.h"

namespace attention::kernels {

void RowVisibility::Begin(const AttentionProblem& problem, const AttentionOptions& options,
                          const AttentionOutputs& outputs) {
  problem_ = &problem;
  skips_heads_ = !problem.head_factors.empty() && options.scores == ScoresOutput::kNone &&
                 !outputs.AsksForStatistics();
  rows_differ_ = skips_heads_ || problem.causal || problem.left_window.has_value() ||
                 problem.right_window.has_value() || !problem.query_segments.empty();
  segments_.Begin(problem);
  const int64_t batch_count = problem.query.extents[0];
  hulls_.resize(static_cast<size_t>(batch_count));
  for (int64_t batch = 0; batch < batch_count; ++batch) {
    hulls_[static_cast<size_t>(batch)] = FindHull(batch);
  }
}

KeyRange RowVisibility::KeysOfRow(int64_t batch, const ScoreRow& row) const {
  if (skips_heads_ && problem_->head_factors[static_cast<size_t>(row.head)] == 0) return {};
  return segments_.Intersect(batch, row.query, VisibleKeys(*problem_, batch, row.query));
}

KeyRange RowVisibility::FindHull(int64_t batch) const {
  const int64_t last_query = problem_->query.extents[2] - 1;
  if (problem_->query_segments.empty() || !segments_.Contiguous(batch)) {
    // Neither end moves back with growing queries.
    return {.begin = VisibleKeys(*problem_, batch, 0).begin,
            .end = VisibleKeys(*problem_, batch, last_query).end};
  }
  KeyRange hull;
  for (int64_t query = 0; query <= last_query; ++query) {
    hull = Union(hull, segments_.Intersect(batch, query, VisibleKeys(*problem_, batch, query)));
  }
  return hull;
}

}  // namespace attention::kernels
