#include "kernels/unfused/score_function.h"

#include <algorithm>
#include <cmath>

#include "kernels/convert.h"
#include "kernels/score_scale.h"

namespace attention::kernels {
namespace {

int64_t PreparedWidth(const AttentionProblem& problem, ScoreKind kind) {
  return kind == ScoreKind::kAdditive ? problem.score_vector.extents[3] : problem.key.extents[3];
}

std::vector<double> Parameter(const TensorView& dense) {
  if (!dense.present()) return {};
  std::vector<double> values(static_cast<size_t>(ElementCount(dense.extents)));
  LoadElements(dense.type, dense.data, static_cast<int64_t>(values.size()), values.data());
  return values;
}

// product = row * weight, where weight is [row.size(), width].
void MultiplyRow(const std::vector<double>& row, const std::vector<double>& weight, int64_t width,
                 double* product) {
  std::fill_n(product, width, 0.0);
  for (size_t i = 0; i < row.size(); ++i) {
    const double* weight_row = weight.data() + static_cast<int64_t>(i) * width;
    for (int64_t j = 0; j < width; ++j) product[j] += row[i] * weight_row[j];
  }
}

}  // namespace

ScoreFunction::ScoreFunction(const AttentionProblem& problem, const AttentionOptions& options)
    : problem_(problem),
      kind_(options.score),
      scale_(ScoreScale(problem, options)),
      prepared_width_(PreparedWidth(problem, options.score)),
      first_weight_(Parameter(problem.score_first_weight)),
      second_weight_(Parameter(problem.score_second_weight)),
      vector_(Parameter(problem.score_vector)) {}

void ScoreFunction::PrepareQuery(int64_t batch, int64_t head, int64_t query,
                                 std::vector<double>& scratch, double* prepared) const {
  const TensorView& view = problem_.query;
  const std::byte* row = RowAddress(view, batch, head, query);
  if (kind_ == ScoreKind::kDotProduct)
    return LoadElements(view.type, row, view.extents[3], prepared);
  scratch.resize(static_cast<size_t>(view.extents[3]));
  LoadElements(view.type, row, view.extents[3], scratch.data());
  MultiplyRow(scratch, first_weight_, prepared_width_, prepared);
}

void ScoreFunction::PrepareKey(int64_t batch, int64_t key_value_head, int64_t key,
                               std::vector<double>& scratch, double* prepared) const {
  const TensorView& view = problem_.key;
  const std::byte* row = RowAddress(view, batch, key_value_head, key);
  if (kind_ != ScoreKind::kAdditive) return LoadElements(view.type, row, view.extents[3], prepared);
  scratch.resize(static_cast<size_t>(view.extents[3]));
  LoadElements(view.type, row, view.extents[3], scratch.data());
  MultiplyRow(scratch, second_weight_, prepared_width_, prepared);
}

double ScoreFunction::Score(const double* prepared_query, const double* prepared_key) const {
  double sum = 0.0;
  if (kind_ == ScoreKind::kAdditive) {
    for (int64_t i = 0; i < prepared_width_; ++i)
      sum += vector_[i] * std::tanh(prepared_query[i] + prepared_key[i]);
  } else {
    for (int64_t i = 0; i < prepared_width_; ++i) sum += prepared_query[i] * prepared_key[i];
  }
  return scale_ * sum;
}

}  // namespace attention::kernels
