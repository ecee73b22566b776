#include "tests/support/matches_reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

namespace attention::test {
namespace {

using kernels::ReferenceResult;

struct TopRow {
  std::span<const double> weights;  // got
  std::span<const int32_t> keys;
  std::span<const double> softmax;  // of the reference
  std::span<const double> tolerance;
};

// Empty if the row is right, or what is wrong with it.
std::string WrongWith(const TopRow& row) {
  const auto key_count = static_cast<int64_t>(row.softmax.size());
  if (std::any_of(row.softmax.begin(), row.softmax.end(), [](double w) { return std::isnan(w); }))
    return std::isnan(row.weights[0]) ? "" : "want NaN as the first weight";
  std::vector<size_t> order(row.softmax.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return row.softmax[a] > row.softmax[b]; });
  std::vector<bool> seen(row.softmax.size(), false);
  for (size_t rank = 0; rank < row.weights.size(); ++rank) {
    const double got = row.weights[rank];
    const int32_t key = row.keys[rank];
    const std::string place = " at rank " + std::to_string(rank) + ", weight " +
                              std::to_string(got) + ", key " + std::to_string(key);
    const bool has_key = rank < order.size();
    const double want = has_key ? row.softmax[order[rank]] : 0.0;
    double slack = has_key ? row.tolerance[order[rank]] : 0.0;
    if (key == -1) {
      if (got != 0.0) return "a weight without a key" + place;
      if (want > slack) return "a key is missing" + place;
      continue;
    }
    if (key < 0 || key >= key_count) return "no such key" + place;
    const auto index = static_cast<size_t>(key);
    if (seen[index]) return "a key comes twice" + place;
    seen[index] = true;
    if (!(got > 0.0)) return "a key of weight 0" + place;
    if (rank > 0) {
      const bool ordered =
          row.keys[rank - 1] != -1 && (row.weights[rank - 1] > got ||
                                       (row.weights[rank - 1] == got && row.keys[rank - 1] < key));
      if (!ordered) return "not in descending order" + place;
    }
    slack = std::max(slack, row.tolerance[index]);
    if (!(std::abs(got - want) <= slack)) return "want weight " + std::to_string(want) + place;
    if (!(std::abs(got - row.softmax[index]) <= row.tolerance[index]))
      return "the key's weight is " + std::to_string(row.softmax[index]) + place;
  }
  return "";
}

}  // namespace

testing::AssertionResult TopWeightsMatch(const TestOutputs& outputs,
                                         const ReferenceResult& reference,
                                         const Tolerance& tolerance) {
  const std::vector<double> weights = outputs.top_weights.Values();
  const std::span<const int32_t> keys = outputs.TopKeys();
  const auto count = static_cast<size_t>(outputs.top_weights.extents()[3]);
  const size_t row_count = reference.log_sum_exp.size();
  const size_t key_count = row_count == 0 ? 0 : reference.softmax.size() / row_count;
  if (weights.size() != row_count * count || keys.size() != weights.size())
    return testing::AssertionFailure() << weights.size() << " top weights of " << row_count;
  for (size_t row = 0; row < row_count; ++row) {
    const std::string wrong =
        WrongWith({.weights = std::span(weights).subspan(row * count, count),
                   .keys = keys.subspan(row * count, count),
                   .softmax = std::span(reference.softmax).subspan(row * key_count, key_count),
                   .tolerance = std::span(tolerance.softmax).subspan(row * key_count, key_count)});
    if (!wrong.empty()) return testing::AssertionFailure() << "row " << row << ": " << wrong;
  }
  return testing::AssertionSuccess();
}

testing::AssertionResult MatchesReference(const TestProblem& problem, const TestOutputs& outputs,
                                          const ReferenceResult& reference) {
  const kernels::AttentionOptions& options = problem.recipe.options;
  const Tolerance tolerance = DeriveTolerance(problem.View(), options, reference);
  const std::vector<double>& scores =
      options.scores == kernels::ScoresOutput::kRaw      ? reference.raw_scores
      : options.scores == kernels::ScoresOutput::kCapped ? reference.capped_scores
                                                         : reference.masked_scores;
  const struct {
    const char* name;
    const TestTensor& got;
    const std::vector<double>& want;
    const std::vector<double>& tolerance;
  } results[] = {
      {"output", outputs.output, reference.output, tolerance.output},
      {"weights", outputs.weights, reference.weights, tolerance.weights},
      {"scores", outputs.scores, scores, tolerance.scores},
      {"log_sum_exp", outputs.log_sum_exp, reference.log_sum_exp, tolerance.log_sum_exp},
      {"entropy", outputs.entropy, reference.entropy, tolerance.entropy},
      {"maximum_weight", outputs.maximum_weight, reference.maximum_weight,
       tolerance.maximum_weight},
      {"key_mass", outputs.key_mass, reference.key_mass, tolerance.key_mass},
  };
  for (const auto& result : results) {
    if (!result.got.present()) continue;
    testing::AssertionResult within = IsWithin(result.got.Values(), result.want, result.tolerance);
    if (!within) return within << "\nin " << result.name << " of " << problem.recipe;
  }
  if (!outputs.top_weights.present()) return testing::AssertionSuccess();
  testing::AssertionResult top = TopWeightsMatch(outputs, reference, tolerance);
  if (!top) return top << "\nin top_weights of " << problem.recipe;
  return testing::AssertionSuccess();
}

testing::AssertionResult MatchesReference(const TestProblem& problem, const TestOutputs& outputs) {
  return MatchesReference(problem, outputs,
                          kernels::ReferenceAttention(problem.View(), problem.recipe.options));
}

}  // namespace attention::test
