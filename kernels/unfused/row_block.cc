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

// Turns the visible scores of one row into weights, in place. Hidden ones hold 0 and keep it.
void SoftmaxRow(const uint8_t* visible, int64_t key_count, double* row) {
  double maximum = -std::numeric_limits<double>::infinity();
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] != 0) maximum = std::max(maximum, row[j]);
  }
  double sum = 0.0;
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] == 0) continue;
    row[j] = std::exp(row[j] - maximum);
    sum += row[j];
  }
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] != 0) row[j] /= sum;
  }
}

void NormalizeByColumns(const uint8_t* visible, const ColumnStatistics* columns, int64_t key_count,
                        double* row) {
  for (int64_t j = 0; j < key_count; ++j) {
    if (visible[j] != 0) row[j] = std::exp(row[j] - columns[j].maximum) / columns[j].sum;
  }
}

void Normalize(const UnfusedTask& task, const Block& block, const ColumnStatistics* columns,
               BlockScores& scores) {
  for (int64_t i = 0; i < block.query_count; ++i) {
    const uint8_t* visible = scores.visible.data() + i * block.key_count;
    double* row = scores.masked.data() + i * block.key_count;
    switch (task.options.normalization) {
      case Normalization::kSoftmaxOverKeys:
        SoftmaxRow(visible, block.key_count, row);
        break;
      case Normalization::kSoftmaxOverQueries:
        NormalizeByColumns(visible, columns, block.key_count, row);
        break;
      case Normalization::kNone:
        break;
    }
  }
}

// Adds up the visible values, each read once for all rows. Hidden ones are not multiplied: they may
// be NaN.
bool WriteOutputs(const UnfusedTask& task, const Block& block, const BlockScores& weights) {
  const TensorView& values = task.problem.value;
  const int64_t width = values.extents[3];
  const int64_t key_value_head = KeyValueHead(task.problem, block.head);
  std::vector<double> value(static_cast<size_t>(width));
  std::vector<double> sums(static_cast<size_t>(block.query_count * width), 0.0);
  for (int64_t j = 0; j < block.key_count; ++j) {
    if (j % kKeysBetweenStopChecks == 0 && StopRequested(task.execution)) return false;
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
  return true;
}

}  // namespace

bool ComputeRows(const UnfusedTask& task, const Block& block, const ColumnStatistics* columns) {
  BlockScores scores;
  if (!ComputeScores(task, block, scores)) return false;
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
  Normalize(task, block, columns, scores);
  if (task.outputs.weights.present()) WriteMatrix(block, scores.masked, task.outputs.weights);
  return WriteOutputs(task, block, scores);
}

}  // namespace attention::kernels
