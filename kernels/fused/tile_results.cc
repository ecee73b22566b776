#include "kernels/fused/tile_results.h"

#include <algorithm>
#include <limits>

#include "kernels/elementwise/score_rows.h"

namespace attention::kernels {
namespace {

constexpr float kHidden = -std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

bool NeedsSecondPass(const FusedCall& call) {
  return call.outputs.weights.present() || call.options.scores != ScoresOutput::kNone ||
         RowStatistics::NeedsWeights(call.outputs);
}

bool TileResults::WritesMatrices() const {
  const FusedCall& call = tile_.call();
  return call.outputs.weights.present() || call.options.scores != ScoresOutput::kNone;
}

absl::Status TileResults::Write() {
  const FusedCall& call = tile_.call();
  if (!NeedsSecondPass(call)) return absl::OkStatus();
  RowStatistics& statistics = tile_.scratch().statistics;
  statistics.Begin(call, tile_.head().batch(), tile_.row_count());
  const int64_t columns = tile_.plan().key_columns;
  const KeyRange all = {.begin = 0, .end = call.problem.key.extents[2]};
  const KeyRange& keys = WritesMatrices() ? all : tile_.hull();
  for (int64_t block = keys.begin / columns; block * columns < keys.end; ++block) {
    if (StopRequested(call.execution)) return absl::OkStatus();
    if (absl::Status status = PassBlock(block); !status.ok()) return status;
  }
  for (int64_t row = 0; row < tile_.row_count(); ++row) {
    if (Selected(row)) statistics.EndRow(row, tile_.RowAt(row));
  }
  return absl::OkStatus();
}

absl::Status TileResults::PassBlock(int64_t block) {
  const FusedCall& call = tile_.call();
  const KeyRange all = {.begin = 0, .end = call.problem.key.extents[2]};
  KeySpan computed = tile_.SpanOf(block, call.ScoresHiddenKeys() ? all : tile_.hull());
  KeySpan keys = computed;
  if (WritesMatrices()) {
    keys = tile_.SpanOf(block, all);
    const int64_t end = computed.count > 0 ? computed.end() : keys.first;
    computed = {.first = keys.first, .count = end - keys.first};
  }
  if (call.ScoresHiddenKeys()) {
    tile_.SelectAllRows(computed);
  } else if (!tile_.Select(computed) && !WritesMatrices()) {
    return absl::OkStatus();
  }
  if (absl::Status status = tile_.ComputeScores(); !status.ok()) return status;
  RowStatistics& statistics = tile_.scratch().statistics;
  statistics.BeginKeys(keys);
  for (int64_t row = 0; row < tile_.row_count(); ++row) {
    if (Selected(row)) PassRow(row, keys, computed);
  }
  statistics.EndKeys();
  return absl::OkStatus();
}

void TileResults::PassRow(int64_t row, const KeySpan& keys, const KeySpan& computed) {
  const FusedCall& call = tile_.call();
  if (call.ScoresHiddenKeys()) WriteUnmaskedScores(row, keys);
  const Columns visible = tile_.VisibleColumns(row, computed);
  tile_.Transform(row, computed, visible);
  if (call.options.scores == ScoresOutput::kMasked) WriteMaskedScores(row, keys, visible);
  if (visible.count() > 0) {
    TileScratch& scratch = tile_.scratch();
    float* weights = WeightsOf(row, keys) + visible.begin;
    const WeightSummary summary = scratch.softmax[static_cast<size_t>(row)].Weigh(
        {tile_.Scores(row) + visible.begin, visible.count()},
        RowStatistics::NeedsWeights(call.outputs), weights);
    scratch.statistics.Take(row, tile_.RowAt(row),
                            {.keys = {keys.first + visible.begin, visible.count()},
                             .weights = weights,
                             .summary = summary});
  }
  if (call.outputs.weights.present()) WriteWeights(row, keys, visible);
}

void TileResults::WriteRow(const MutableTensorView& target, int64_t row, const KeySpan& keys,
                           const RowToWrite& numbers) {
  const ScoreRow score_row = tile_.RowAt(row);
  const ScaledRow scaled = {
      .source = numbers.numbers,
      .factor = numbers.factor,
      .destination = RowAddress(target, tile_.head().batch(), score_row.head, score_row.query) +
                     keys.first * static_cast<int64_t>(ElementBytes(target.type))};
  ScaleFromF32({&scaled, 1}, keys.count, target.type);
}

// Raw or capped, of hidden keys, too.
void TileResults::WriteUnmaskedScores(int64_t row, const KeySpan& keys) {
  const FusedCall& call = tile_.call();
  const MutableTensorView& target = call.outputs.scores;
  const bool caps = call.options.scores == ScoresOutput::kCapped && call.form.softcap() > 0;
  if (!caps) return WriteRow(target, row, keys, {tile_.Scores(row), call.form.scale()});
  float* capped = tile_.scratch().row.data();
  std::copy_n(tile_.Scores(row), keys.count, capped);
  TransformScores({.multiplier = call.form.multiplier(), .softcap = call.form.softcap()},
                  keys.count, capped);
  WriteRow(target, row, keys, {capped, 1.0f});
}

void TileResults::WriteMaskedScores(int64_t row, const KeySpan& keys, const Columns& visible) {
  const FusedCall& call = tile_.call();
  float* scores = tile_.Scores(row);
  std::fill(scores, scores + visible.begin, kHidden);
  std::fill(scores + visible.end, scores + keys.count, kHidden);
  const double factor = call.form.NaturalScale(tile_.RowAt(row).head);
  WriteRow(call.outputs.scores, row, keys, {scores, ScoreForm::Normal(factor)});
}

float* TileResults::WeightsOf(int64_t row, const KeySpan& keys) const {
  const MutableTensorView& target = tile_.call().outputs.weights;
  const ScoreRow score_row = tile_.RowAt(row);
  const bool direct = target.present() && target.type == DataType::kF32 &&
                      tile_.call().HeadFactor(score_row.head) == 1.0;
  if (!direct) return tile_.scratch().row.data();
  return reinterpret_cast<float*>(
             RowAddress(target, tile_.head().batch(), score_row.head, score_row.query)) +
         keys.first;
}

void TileResults::WriteWeights(int64_t row, const KeySpan& keys, const Columns& visible) {
  const FusedCall& call = tile_.call();
  float* weights = WeightsOf(row, keys);
  const auto factor = static_cast<float>(call.HeadFactor(tile_.RowAt(row).head));
  const bool nothing = tile_.scratch().softmax[static_cast<size_t>(row)].saw_nothing();
  if (factor == 0 || (nothing && call.options.fully_masked == FullyMasked::kZeros)) {
    std::fill_n(weights, keys.count, 0.0f);
  } else if (nothing) {
    const auto key_count = static_cast<float>(call.problem.key.extents[2]);
    const bool uniform = call.options.fully_masked == FullyMasked::kUniform;
    std::fill_n(weights, keys.count, uniform ? 1.0f / key_count : kNan);
  } else {
    std::fill(weights, weights + visible.begin, 0.0f);
    std::fill(weights + visible.end, weights + keys.count, 0.0f);
  }
  if (weights == tile_.scratch().row.data()) {
    WriteRow(call.outputs.weights, row, keys, {weights, factor});
  }
}

}  // namespace attention::kernels
