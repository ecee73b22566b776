#include "kernels/fused/tile_transform.h"

#include <algorithm>

#include "kernels/fused/tile_state.h"

namespace attention::kernels {
namespace {

// So few that the softmax finds them in the first-level cache.
constexpr int64_t kMaskedRowsAtOnce = 8;

}  // namespace

void TileTransform::Begin(const TileState& tile, const KeySpan& span) {
  tile_ = &tile;
  span_ = span;
  column_count_ = RoundUp(span.count, kPairedColumns);
  place_ = tile.scratch().masks.place();
  const FusedCall& call = tile.call();
  transform_ = {.multiplier = call.form.multiplier(), .softcap = call.form.softcap()};
  switch (place_) {
    case MaskPlace::kNowhere:
      if (call.relative_bias.present()) FindBiases();
      return;
    case MaskPlace::kAdditive:
      biases_.Reserve(static_cast<size_t>(tile.padded_row_count()));
      bias_copies_.Reserve(static_cast<size_t>(kMaskedRowsAtOnce * column_count_));
      transform_.biases = biases_.data();
      transform_.biases_hide = true;
      return;
    case MaskPlace::kVisible:
      visible_.Reserve(static_cast<size_t>(tile.padded_row_count()));
      visible_copies_.Reserve(static_cast<size_t>(kMaskedRowsAtOnce * column_count_));
      transform_.visible = visible_.data();
      return;
    case MaskPlace::kSegments:
      return FindSegments();
    case MaskPlace::kScores:
      return;
  }
}

int64_t TileTransform::RowsAtOnce() const {
  const bool all = place_ == MaskPlace::kNowhere || place_ == MaskPlace::kSegments;
  return all ? tile_->padded_row_count() : kMaskedRowsAtOnce;
}

const SoftmaxTransform* TileTransform::ForRows(int64_t first, int64_t end) {
  switch (place_) {
    case MaskPlace::kNowhere:
      return tile_->call().form.transforms() ? &transform_ : nullptr;
    case MaskPlace::kSegments:
      return &transform_;
    case MaskPlace::kAdditive:
    case MaskPlace::kVisible:
      FindMasks(first, end);
      return &transform_;
    case MaskPlace::kScores:
      TransformInPlace(first, end);
      return nullptr;
  }
  return nullptr;
}

void TileTransform::FindBiases() {
  const FusedCall& call = tile_->call();
  biases_.Reserve(static_cast<size_t>(tile_->padded_row_count()));
  for (int64_t row = 0; row < tile_->padded_row_count(); ++row) {
    const ScoreRow score_row = tile_->RowAt(std::min(row, tile_->row_count() - 1));
    biases_.data()[row] =
        call.relative_bias.Row(tile_->head().batch(), score_row.head, score_row.query, span_.first);
  }
  transform_.biases = biases_.data();
}

void TileTransform::FindSegments() {
  const AttentionProblem& problem = tile_->call().problem;
  const int64_t batch = tile_->head().batch();
  column_segments_.Reserve(static_cast<size_t>(column_count_));
  std::copy_n(problem.key_segments.data() + batch * problem.key.extents[2] + span_.first,
              span_.count, column_segments_.data());
  row_segments_.Reserve(static_cast<size_t>(tile_->padded_row_count()));
  const int32_t* segments = problem.query_segments.data() + batch * problem.query.extents[2];
  for (int64_t row = 0; row < tile_->padded_row_count(); ++row) {
    row_segments_.data()[row] = segments[tile_->RowAt(std::min(row, tile_->row_count() - 1)).query];
  }
  transform_.column_segments = column_segments_.data();
  transform_.row_segments = row_segments_.data();
}

template <class T>
const T* TileTransform::Readable(const MaskRow<T>& row, const Columns& columns, T* copy) const {
  const bool whole_groups =
      columns.begin % kPairedColumns == 0 && columns.end % kPairedColumns == 0;
  if (row.lasts && whole_groups) return row.elements - columns.begin;
  std::copy_n(row.elements, columns.count(), copy + columns.begin);
  return copy;
}

void TileTransform::FindMasks(int64_t first, int64_t end) {
  MaskRows& masks = tile_->scratch().masks;
  for (int64_t row = first; row < std::min(end, tile_->row_count()); ++row) {
    const Columns columns = tile_->VisibleColumns(row, span_);
    if (columns.count() == 0) continue;
    const KeySpan keys = {span_.first + columns.begin, columns.count()};
    const int64_t copy = (row - first) * column_count_;
    if (place_ == MaskPlace::kAdditive) {
      biases_.data()[row] =
          Readable(masks.AdditiveRow(tile_->RowAt(row), keys), columns, bias_copies_.data() + copy);
    } else {
      visible_.data()[row] = Readable(masks.VisibleRow(tile_->RowAt(row), keys), columns,
                                      visible_copies_.data() + copy);
    }
  }
}

void TileTransform::TransformInPlace(int64_t first, int64_t end) const {
  for (int64_t row = first; row < std::min(end, tile_->row_count()); ++row) {
    tile_->Transform(row, span_, tile_->VisibleColumns(row, span_));
  }
}

}  // namespace attention::kernels
