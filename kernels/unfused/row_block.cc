#include "kernels/unfused/row_block.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/convert.h"

namespace attention::kernels {
namespace {

constexpr int64_t kKeysBetweenStopChecks = 256;

// Rows of one block, one after the other, into a dense [batch, heads, queries, keys] tensor.
void WriteMatrix(const Block& block, const std::vector<double>& matrix,
                 const MutableTensorView& destination) {
  for (int64_t i = 0; i < block.query_count; ++i) {
    StoreElements(destination.type, matrix.data() + i * block.key_count, block.key_count,
                  RowAddress(destination, block.batch, block.head, block.first_query + i));
  }
}

// Replaces hidden scores, for the output of masked scores.
std::vector<double> MaskedMatrix(const UnfusedTask& task, const BlockScores& scores) {
  const double hidden = task.options.normalization == Normalization::kNone
                            ? 0.0
                            : -std::numeric_limits<double>::infinity();
  std::vector<double> matrix = scores.masked;
  for (size_t pair = 0; pair < matrix.size(); ++pair) {
    if (scores.visible[pair] == 0) matrix[pair] = hidden;
  }
  return matrix;
}

void StoreStatistic(const MutableTensorView& statistic, const Block& block, int64_t query,
                    double value) {
  if (!statistic.present()) return;
  StoreElements(statistic.type, &value, 1, RowAddress(statistic, block.batch, block.head, query));
}

void StoreTopWeights(const TopWeights& top, const Block& block, int64_t query,
                     const double* weights) {
  std::vector<WeightOfKey> scratch;
  std::vector<double> top_weights(static_cast<size_t>(top.count));
  const Extents& extents = top.weights.extents;
  const int64_t row = (block.batch * extents[1] + block.head) * extents[2] + query;
  RowTopWeights(weights, block.key_count, top.weights.type, scratch, top.count, top_weights.data(),
                top.keys + row * top.count);
  StoreElements(top.weights.type, top_weights.data(), top.count,
                RowAddress(top.weights, block.batch, block.head, query));
}

void StoreStatistics(const AttentionOutputs& outputs, const Block& block, int64_t query,
                     const SoftmaxSum& softmax, const double* weights) {
  StoreStatistic(outputs.log_sum_exp, block, query, softmax.LogSumExp());
  if (outputs.entropy.present())
    StoreStatistic(outputs.entropy, block, query, RowEntropy(weights, block.key_count));
  StoreStatistic(outputs.maximum_weight, block, query, RowMaximum(weights, block.key_count));
  if (outputs.top_weights.count > 0) StoreTopWeights(outputs.top_weights, block, query, weights);
}

// Gives a row that sees nothing its weights, and lets them meet the values unless they are 0.
void ApplyFullyMasked(FullyMasked policy, int64_t key_count, uint8_t* visible, double* row) {
  const bool zeros = policy == FullyMasked::kZeros;
  std::fill_n(visible, key_count, zeros ? uint8_t{0} : uint8_t{1});
  if (zeros) return;
  const double weight = policy == FullyMasked::kNan ? std::numeric_limits<double>::quiet_NaN()
                                                    : 1.0 / static_cast<double>(key_count);
  std::fill_n(row, key_count, weight);
}

void NormalizeByColumns(const uint8_t* visible, const SoftmaxSum* columns, int64_t key_count,
                        double* row) {
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] != 0) row[j] = columns[j].Weight(row[j]);
  }
}

// The softmax of a row over its keys, with its statistics and, last, the policy for rows that see
// nothing.
void NormalizeOverKeys(const UnfusedTask& task, const Block& block, const HeadState& state,
                       int64_t row_in_block, BlockScores& scores) {
  const int64_t query = block.first_query + row_in_block;
  uint8_t* visible = scores.visible.data() + row_in_block * block.key_count;
  double* row = scores.masked.data() + row_in_block * block.key_count;
  const double sink = task.problem.sinks.empty()
                          ? -std::numeric_limits<double>::infinity()
                          : task.problem.sinks[static_cast<size_t>(block.head)];
  const SoftmaxSum softmax = SoftmaxRow(visible, block.key_count, sink, row);
  if (state.rows != nullptr) state.rows[query] = softmax;
  if (task.outputs.AsksForStatistics()) StoreStatistics(task.outputs, block, query, softmax, row);
  if (softmax.SeesNothing())
    ApplyFullyMasked(task.options.fully_masked, block.key_count, visible, row);
}

void Normalize(const UnfusedTask& task, const Block& block, const HeadState& state,
               BlockScores& scores) {
  for (int64_t i = 0; i < block.query_count; ++i) {
    switch (task.options.normalization) {
      case Normalization::kSoftmaxOverKeys:
        NormalizeOverKeys(task, block, state, i, scores);
        break;
      case Normalization::kSoftmaxOverQueries:
        NormalizeByColumns(scores.visible.data() + i * block.key_count, state.columns,
                           block.key_count, scores.masked.data() + i * block.key_count);
        break;
      case Normalization::kNone:
        break;
    }
  }
}

double HeadFactor(const AttentionProblem& problem, int64_t head) {
  return problem.head_factors.empty() ? 1.0 : problem.head_factors[static_cast<size_t>(head)];
}

// Of factor 0 nothing is left, be it NaN.
void ApplyHeadFactor(double factor, BlockScores& weights) {
  if (factor == 1.0) return;
  if (factor == 0.0) {
    std::fill(weights.masked.begin(), weights.masked.end(), 0.0);
    std::fill(weights.visible.begin(), weights.visible.end(), uint8_t{0});
  }
  for (double& weight : weights.masked) weight *= factor;
}

// Adds up the visible values, each read once for all rows. Hidden ones are not multiplied: they may
// be NaN.
void WriteOutputs(const UnfusedTask& task, const Block& block, const BlockScores& weights) {
  const TensorView& values = task.problem.value;
  const int64_t width = values.extents[3];
  const int64_t key_value_head = KeyValueHead(task.problem, block.head);
  std::vector<double> value(static_cast<size_t>(width));
  std::vector<double> sums(static_cast<size_t>(block.query_count * width), 0.0);
  for (int64_t j = 0; j < block.key_count; ++j) {
    if (j % kKeysBetweenStopChecks == 0 && StopRequested(task.execution)) return;
    LoadElements(values.type, RowAddress(values, block.batch, key_value_head, j), width,
                 value.data());
    for (int64_t i = 0; i < block.query_count; ++i) {
      const auto pair = static_cast<size_t>(i * block.key_count + j);
      if (weights.visible[pair] == 0) continue;
      double* sum = sums.data() + i * width;
      for (int64_t d = 0; d < width; ++d)
        sum[d] += weights.masked[pair] * value[static_cast<size_t>(d)];
    }
  }
  const MutableTensorView& output = task.outputs.output;
  for (int64_t i = 0; i < block.query_count; ++i) {
    StoreElements(output.type, sums.data() + i * width, width,
                  RowAddress(output, block.batch, block.head, block.first_query + i));
  }
}

}  // namespace

void ComputeRows(const UnfusedTask& task, const Block& block, const HeadState& state) {
  BlockScores scores;
  if (!ComputeScores(task, block, scores)) return;
  switch (task.options.scores) {
    case ScoresOutput::kNone:
      break;
    case ScoresOutput::kRaw:
    case ScoresOutput::kCapped:
      WriteMatrix(block, scores.returned, task.outputs.scores);
      break;
    case ScoresOutput::kMasked:
      WriteMatrix(block, MaskedMatrix(task, scores), task.outputs.scores);
      break;
  }
  Normalize(task, block, state, scores);
  ApplyHeadFactor(HeadFactor(task.problem, block.head), scores);
  if (task.outputs.weights.present()) WriteMatrix(block, scores.masked, task.outputs.weights);
  WriteOutputs(task, block, scores);
}

}  // namespace attention::kernels
