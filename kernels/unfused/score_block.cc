#include "kernels/unfused/score_block.h"

#include <algorithm>
#include <cmath>

#include "kernels/unfused/pair_masks.h"

namespace attention::kernels {
namespace {

constexpr int64_t kKeysBetweenStopChecks = 64;
constexpr int64_t kBlockPairs = int64_t{1} << 18;  // returned and masked scores: 4 MiB
constexpr int64_t kMaxQueriesPerBlock = 16;        // amortizes the reading of each key and value

std::vector<double> PrepareQueries(const UnfusedTask& task, const Block& block,
                                   std::vector<double>& scratch) {
  const int64_t width = task.score_function.prepared_width();
  std::vector<double> prepared(static_cast<size_t>(block.query_count * width));
  for (int64_t i = 0; i < block.query_count; ++i) {
    task.score_function.PrepareQuery(block.batch, block.head, block.first_query + i, scratch,
                                     prepared.data() + i * width);
  }
  return prepared;
}

double Capped(const AttentionOptions& options, double score) {
  if (!options.softcap.has_value()) return score;
  return *options.softcap * std::tanh(score / *options.softcap);
}

// Marks which rows see key block.first_key + j. Returns whether any does.
bool MarkVisible(const AttentionProblem& problem, const Block& block, int64_t j,
                 BlockScores& scores) {
  bool any = false;
  for (int64_t i = 0; i < block.query_count; ++i) {
    const bool visible =
        Visible(problem, {block.batch, block.head, block.first_query + i, block.first_key + j});
    scores.visible[static_cast<size_t>(i * block.key_count + j)] = visible ? 1 : 0;
    any = any || visible;
  }
  return any;
}

}  // namespace

int64_t QueriesPerBlock(int64_t key_count) {
  return std::clamp<int64_t>(kBlockPairs / std::max<int64_t>(1, key_count), 1, kMaxQueriesPerBlock);
}

int64_t KeyValueHead(const AttentionProblem& problem, int64_t head) {
  return head / (problem.query.extents[1] / problem.key.extents[1]);
}

bool ComputeScores(const UnfusedTask& task, const Block& block, BlockScores& scores) {
  const auto pair_count = static_cast<size_t>(block.query_count * block.key_count);
  const ScoresOutput output = task.options.scores;
  const bool hidden_too = output == ScoresOutput::kRaw || output == ScoresOutput::kCapped;
  scores.returned.assign(hidden_too ? pair_count : 0, 0.0);
  scores.masked.assign(pair_count, 0.0);
  scores.visible.assign(pair_count, 0);

  const ScoreFunction& function = task.score_function;
  const int64_t key_value_head = KeyValueHead(task.problem, block.head);
  std::vector<double> scratch;
  const std::vector<double> queries = PrepareQueries(task, block, scratch);
  std::vector<double> key(static_cast<size_t>(function.prepared_width()));
  for (int64_t j = 0; j < block.key_count; ++j) {
    if (j % kKeysBetweenStopChecks == 0 && StopRequested(task.execution)) return false;
    if (!MarkVisible(task.problem, block, j, scores) && !hidden_too) continue;
    function.PrepareKey(block.batch, key_value_head, block.first_key + j, scratch, key.data());
    for (int64_t i = 0; i < block.query_count; ++i) {
      const auto pair = static_cast<size_t>(i * block.key_count + j);
      const bool visible = scores.visible[pair] != 0;
      if (!visible && !hidden_too) continue;
      const double raw = function.Score(queries.data() + i * function.prepared_width(), key.data());
      const double capped = Capped(task.options, raw);
      if (hidden_too) scores.returned[pair] = output == ScoresOutput::kRaw ? raw : capped;
      if (!visible) continue;
      scores.masked[pair] = MaskedScore(
          task.problem, task.relative_bias,
          {block.batch, block.head, block.first_query + i, block.first_key + j}, capped);
    }
  }
  return true;
}

}  // namespace attention::kernels
