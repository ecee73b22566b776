#include "kernels/fused/tile_state.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {

TileState::TileState(const QueryTileTask& task, TileScratch& scratch)
    : call_(task.call),
      plan_(task.plan),
      head_(task.head),
      scratch_(scratch),
      group_rows_{.batch = task.head.batch(),
                  .key_value_head = task.head.head(),
                  .group_size = task.plan.group_size,
                  .first_row = task.first_row,
                  .row_count = task.row_count},
      padded_row_count_(PaddedRowCount(task.row_count, *task.plan.products)),
      products_(plan_, padded_row_count_, call_.problem.value.extents[3]) {
  scratch_.masks.Begin(call_, head_.batch());
  scratch_.scores.Reserve(static_cast<size_t>(padded_row_count_ * plan_.score_stride));
  scratch_.row.Reserve(static_cast<size_t>(plan_.score_stride));
  PrepareRows();
  queries_ = PackQueryRows(call_.problem, plan_, group_rows_, padded_row_count_, scratch_.queries);
}

void TileState::PrepareRows() {
  const auto rows = static_cast<size_t>(padded_row_count_);
  scratch_.exponent_scales.Reserve(rows);
  scratch_.visible_keys.Reserve(rows);
  for (int64_t row = 0; row < padded_row_count_; ++row) {
    const bool real = row < row_count();
    const ScoreRow score_row = RowAt(real ? row : 0);
    const KeyRange keys = real ? call_.visibility.Keys(head_.batch(), score_row) : KeyRange();
    scratch_.visible_keys.data()[row] = keys;
    scratch_.exponent_scales.data()[row] = call_.form.ExponentScale(score_row.head);
    if (keys.begin == keys.end) continue;
    const bool first = hull_.begin == hull_.end;
    hull_ = {.begin = first ? keys.begin : std::min(hull_.begin, keys.begin),
             .end = std::max(hull_.end, keys.end)};
  }
}

KeySpan TileState::SpanOf(int64_t block, const KeyRange& keys) const {
  const int64_t first_of_block = block * plan_.key_columns;
  const int64_t end = std::min(keys.end, first_of_block + plan_.key_columns);
  const int64_t begin = keys.begin / plan_.column_multiple * plan_.column_multiple;
  const int64_t first = std::max(begin, first_of_block);
  return {.first = first, .count = std::max<int64_t>(end - first, 0)};
}

Columns TileState::VisibleColumns(int64_t row, const KeySpan& span) const {
  const KeyRange& keys = VisibleKeysOf(row);
  const int64_t begin = std::clamp<int64_t>(keys.begin - span.first, 0, span.count);
  return {.begin = begin, .end = std::clamp<int64_t>(keys.end - span.first, begin, span.count)};
}

TileRows TileState::RowsSeeing(const KeySpan& strip) const {
  MaskRows& masks = scratch_.masks;
  // Rows in the order in which they are asked: what a mask hid from the one before, it need not be
  // asked of again.
  ScoreRow last_row;
  KeySpan last_keys;
  const auto sees_nothing = [&](int64_t row) {
    const Columns columns = VisibleColumns(row, strip);
    if (columns.count() == 0) return true;
    if (!masks.Hide()) return false;
    const ScoreRow score_row = RowAt(row);
    const KeySpan keys = {.first = strip.first + columns.begin, .count = columns.count()};
    const bool asked = keys == last_keys && masks.Repeat(score_row, last_row);
    if (!asked && masks.AnyVisible(score_row, keys)) return false;
    last_row = score_row;
    last_keys = keys;
    return true;
  };
  TileRows rows = {.begin = 0, .end = row_count()};
  while (rows.begin < rows.end && sees_nothing(rows.begin)) ++rows.begin;
  while (rows.begin < rows.end && sees_nothing(rows.end - 1)) --rows.end;
  return rows;
}

bool TileState::SelectRows(const KeySpan& span) {
  std::vector<TileRows>& strips = scratch_.strip_rows;
  strips.clear();
  for (int64_t i = 0; i < StripCount(span); ++i) {
    TileRows rows = {.begin = 0, .end = row_count()};
    if (!call_.ScoresHiddenKeys()) rows = RowsSeeing(StripOf(span, i));
    if (rows.count() == 0) {
      strips.emplace_back();
      continue;
    }
    strips.push_back({.begin = rows.begin / kRowStep * kRowStep,
                      .end = std::min(RoundUp(rows.end, kRowStep), padded_row_count_)});
  }
  return std::any_of(strips.begin(), strips.end(),
                     [](const TileRows& rows) { return rows.count() > 0; });
}

absl::Status TileState::ComputeScores(const KeySpan& span) {
  head_.Require(span.first / plan_.key_columns);
  for (int64_t i = 0; i < StripCount(span); ++i) {
    const TileRows& rows = scratch_.strip_rows[static_cast<size_t>(i)];
    if (rows.count() == 0) continue;
    const KeySpan strip = StripOf(span, i);
    absl::Status status = products_.ComputeScores(
        rows, queries_, head_.Keys(strip.first), plan_.PaddedColumns(strip.count),
        scratch_.scores.data() + (strip.first - span.first));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status TileState::AccumulateOutput(const KeySpan& span) {
  const bool bf16 = plan_.products->bf16;
  const auto* weights = bf16 ? reinterpret_cast<const std::byte*>(scratch_.weights.data())
                             : reinterpret_cast<const std::byte*>(scratch_.scores.data());
  // Strip by strip, whatever rows are selected, so that no row's bits depend on the others.
  for (int64_t i = 0; i < StripCount(span); ++i) {
    const TileRows& rows = scratch_.strip_rows[static_cast<size_t>(i)];
    if (rows.count() == 0) continue;
    const KeySpan strip = StripOf(span, i);
    const int64_t key_count = bf16 ? plan_.PaddedColumns(strip.count) : strip.count;
    absl::Status status = products_.AccumulateOutput(
        rows, weights + (strip.first - span.first) * plan_.ElementBytes(),
        head_.Values(strip.first), key_count, scratch_.outputs.data());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void TileState::Transform(int64_t row, const KeySpan& span, const Columns& columns) const {
  if (!scratch_.masks.Transform()) return;
  scratch_.masks.Apply(RowAt(row), {span.first + columns.begin, columns.count()},
                       Scores(row) + columns.begin);
}

}  // namespace attention::kernels
