#include "kernels/fused/tile_state.h"

#include <algorithm>

#include "kernels/elementwise/elementwise.h"

namespace attention::kernels {

TileState::TileState(const QueryTileTask& task, TileScratch& scratch)
    : call_(task.call),
      plan_(task.plan),
      head_(task.head),
      scratch_(scratch),
      row_count_(task.row_count),
      padded_row_count_(PaddedRowCount(task.row_count, *task.plan.products)),
      products_(plan_, padded_row_count_, call_.problem.value.extents[3]) {
  scratch_.masks.Begin(call_, head_.batch());
  scratch_.scores.Reserve(static_cast<size_t>(padded_row_count_ * plan_.score_stride));
  scratch_.row.Reserve(static_cast<size_t>(plan_.score_stride));
  PrepareRows(task.first_row);
  queries_ = PackQueryRows(call_.problem, plan_, head_.batch(), rows(), padded_row_count_,
                           scratch_.queries);
}

void TileState::PrepareRows(int64_t first_row) {
  const auto padded_count = static_cast<size_t>(padded_row_count_);
  scratch_.rows.Reserve(padded_count);
  scratch_.exponent_scales.Reserve(padded_count);
  scratch_.visible_keys.Reserve(padded_count);
  ListGroupRows(head_.head(), plan_.group_size, first_row, rows());
  std::fill(scratch_.rows.data() + row_count_, scratch_.rows.data() + padded_row_count_, RowAt(0));
  KeyRange hull;
  for (int64_t row = 0; row < padded_row_count_; ++row) {
    const bool real = row < row_count();
    const KeyRange keys = real ? call_.visibility.Keys(head_.batch(), RowAt(row)) : KeyRange();
    scratch_.visible_keys.data()[row] = keys;
    scratch_.exponent_scales.data()[row] = call_.form.ExponentScale(RowAt(row).head);
    hull = Union(hull, keys);
  }
  hull_ = hull;
}

KeySpan TileState::SpanOf(int64_t block, const KeyRange& keys) const {
  const int64_t first_of_block = block * plan_.key_columns;
  const int64_t end = std::min(keys.end, first_of_block + plan_.key_columns);
  const int64_t begin = keys.begin / plan_.column_multiple * plan_.column_multiple;
  const int64_t first = std::max(begin, first_of_block);
  return {.first = first, .count = std::max<int64_t>(end - first, 0)};
}

// All rows from the first to the last that sees one of the keys.
TileRows TileState::RowsSeeing(const KeySpan& keys) const {
  MaskRows& masks = scratch_.masks;
  // What masks hide from a row, they hide from the next one that reads the same elements of them.
  ScoreRow blind_row;
  KeySpan blind_keys;
  const auto sees_nothing = [&](int64_t row) {
    const Columns columns = VisibleColumns(row, keys);
    if (columns.count() == 0) return true;
    if (!masks.hides()) return false;
    const ScoreRow score_row = RowAt(row);
    const KeySpan asked = {.first = keys.first + columns.begin, .count = columns.count()};
    const bool known = asked == blind_keys && masks.SameMasks(score_row, blind_row);
    if (!known && masks.AnyVisible(score_row, asked)) return false;
    blind_row = score_row;
    blind_keys = asked;
    return true;
  };
  TileRows rows = {.begin = 0, .end = row_count()};
  while (rows.begin < rows.end && sees_nothing(rows.begin)) ++rows.begin;
  while (rows.begin < rows.end && sees_nothing(rows.end - 1)) --rows.end;
  return rows;
}

// Strips end at the same keys in every tile, so that a row's bits do not depend on what else is in
// its tile.
void TileState::SelectStrips(const KeySpan& span, bool all_rows) {
  SelectedKeys& selected = scratch_.selected;
  selected.span = span;
  selected.strips.clear();
  int64_t end = span.first;
  for (int64_t first = span.first; first < span.end(); first = end) {
    end = std::min(RoundUp(first + 1, plan_.strip_columns), span.end());
    const KeySpan keys = {.first = first, .count = end - first};
    const TileRows rows = all_rows ? TileRows{0, row_count()} : RowsSeeing(keys);
    if (rows.count() == 0) continue;
    selected.strips.push_back(
        {.keys = keys,
         .rows = {.begin = rows.begin / kRowStep * kRowStep,
                  .end = std::min(RoundUp(rows.end, kRowStep), padded_row_count_)}});
  }
}

bool TileState::Select(const KeySpan& span) {
  SelectStrips(span, /*all_rows=*/false);
  return !scratch_.selected.strips.empty();
}

void TileState::SelectAllRows(const KeySpan& span) { SelectStrips(span, /*all_rows=*/true); }

absl::Status TileState::ComputeScores() {
  const SelectedKeys& selected = scratch_.selected;
  if (selected.strips.empty()) return absl::OkStatus();
  head_.Require(selected.span.first / plan_.key_columns);
  for (const auto& [keys, rows] : selected.strips) {
    absl::Status status = products_.ComputeScores(
        rows, queries_, head_.Keys(keys.first), plan_.PaddedColumns(keys.count),
        scratch_.scores.data() + (keys.first - selected.span.first));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status TileState::AccumulateOutput() {
  const bool bf16 = plan_.products->bf16;
  const auto* weights = bf16 ? reinterpret_cast<const std::byte*>(scratch_.weights.data())
                             : reinterpret_cast<const std::byte*>(scratch_.scores.data());
  const SelectedKeys& selected = scratch_.selected;
  for (const auto& [keys, rows] : selected.strips) {
    const int64_t key_count = bf16 ? plan_.PaddedColumns(keys.count) : keys.count;
    absl::Status status = products_.AccumulateOutput(
        rows, weights + (keys.first - selected.span.first) * plan_.ElementBytes(),
        head_.Values(keys.first), key_count, scratch_.outputs.data());
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

void TileState::Transform(int64_t row, const KeySpan& span, const Columns& columns) const {
  if (!scratch_.masks.transforms()) return;
  scratch_.masks.Apply(RowAt(row), {span.first + columns.begin, columns.count()},
                       Scores(row) + columns.begin);
}

}  // namespace attention::kernels
