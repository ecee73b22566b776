// What the passes over the keys of a tile have in common.

#ifndef ATTENTION_KERNELS_FUSED_TILE_STATE_H_
#define ATTENTION_KERNELS_FUSED_TILE_STATE_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "kernels/aligned_array.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/mask_rows.h"
#include "kernels/fused/query_rows.h"
#include "kernels/fused/query_tile.h"
#include "kernels/fused/row_statistics.h"
#include "kernels/fused/softmax_state.h"
#include "kernels/fused/tile_products.h"
#include "kernels/fused/tile_transform.h"

namespace attention::kernels {

// Keys that both products take at once, and the rows that they take.
struct KeyStrip {
  KeySpan keys;
  TileRows rows;
};

// What of a span of keys is multiplied: strips that some row sees, in order.
struct SelectedKeys {
  KeySpan span;
  std::vector<KeyStrip> strips;
};

// A thread's working memory, kept between tiles. Arrays of rows have an element for each padded
// row.
struct TileScratch {
  AlignedArray<ScoreRow> rows;      // those of padding repeat the first
  AlignedArray<std::byte> queries;  // parts of [rows, inner width]
  AlignedArray<float> scores;       // [rows, score stride]
  AlignedArray<uint16_t> weights;   // parts of [rows, weight stride], BF16 only
  AlignedArray<float> outputs;      // [rows, output stride]
  AlignedArray<float> references;   // of the running softmax
  AlignedArray<float> sums;
  AlignedArray<float> exponent_scales;
  AlignedArray<KeyRange> visible_keys;   // what a row sees, but for masks
  AlignedArray<int32_t> visible_begins;  // the same, as columns of a span
  AlignedArray<int32_t> visible_ends;
  AlignedArray<int32_t> likely_maxima;
  AlignedArray<float> row;            // one of scores or weights
  std::vector<SoftmaxState> softmax;  // once it is final, of each real row
  std::vector<ScaledRow> finished_rows;
  std::vector<float> value_row;
  SelectedKeys selected;
  MaskRows masks;
  TileTransform transform;
  RowStatistics statistics;

  // Gives memory back if what grows with the widths of heads is more than `byte_count`.
  void ReleaseAbove(int64_t byte_count) {
    const size_t bytes = queries.size() + outputs.size() * sizeof(float);
    if (static_cast<int64_t>(bytes) > byte_count) *this = TileScratch();
  }
};

// Spans of keys lie within one block and begin at a multiple of the plan's column multiple. Throws
// std::bad_alloc.
class TileState {
 public:
  // Both outlive it.
  TileState(const QueryTileTask& task, TileScratch& scratch);

  [[nodiscard]] const FusedCall& call() const { return call_; }
  [[nodiscard]] const TilePlan& plan() const { return plan_; }
  [[nodiscard]] PackedHead& head() const { return head_; }
  [[nodiscard]] TileScratch& scratch() const { return scratch_; }
  [[nodiscard]] int64_t row_count() const { return row_count_; }
  [[nodiscard]] int64_t padded_row_count() const { return padded_row_count_; }
  [[nodiscard]] const ScoreRow& RowAt(int64_t row) const { return scratch_.rows.data()[row]; }
  [[nodiscard]] const std::byte* Query(int64_t row) const {
    return RowAddress(call_.problem.query, head_.batch(), RowAt(row).head, RowAt(row).query);
  }
  [[nodiscard]] float* Scores(int64_t row) const {
    return scratch_.scores.data() + row * plan_.score_stride;
  }
  [[nodiscard]] const KeyRange& VisibleKeysOf(int64_t row) const {
    return scratch_.visible_keys.data()[row];
  }

  // Contains what every row of the tile sees.
  [[nodiscard]] const KeyRange& hull() const { return hull_; }

  // The keys of a block within `keys`, from a column multiple on. Empty if there are none.
  [[nodiscard]] KeySpan SpanOf(int64_t block, const KeyRange& keys) const;

  [[nodiscard]] Columns VisibleColumns(int64_t row, const KeySpan& span) const {
    return ColumnsOf(VisibleKeysOf(row), span);
  }

  // Selects a span, and of each of its strips the rows from the first to the last that sees one of
  // its keys, rounded out to multiples of kRowStep. False if no row sees any key.
  [[nodiscard]] bool Select(const KeySpan& span);

  // Selects a span and all rows, whatever they see.
  void SelectAllRows(const KeySpan& span);

  // Products of queries and keys, of what is selected; the scores of other rows may be any numbers.
  // kInternal if the matrix library failed.
  [[nodiscard]] absl::Status ComputeScores();

  // Adds the products of weights and values, of what is selected: all other weights are 0.
  [[nodiscard]] absl::Status AccumulateOutput();

  // Of the first keys of a span that was computed: what the softmax reads.
  void Transform(int64_t row, const KeySpan& span, const Columns& columns) const;

 private:
  [[nodiscard]] std::span<ScoreRow> rows() const {
    return {scratch_.rows.data(), static_cast<size_t>(row_count_)};
  }
  void PrepareRows(int64_t first_row);
  void SelectStrips(const KeySpan& span, bool all_rows);
  [[nodiscard]] TileRows RowsSeeing(const KeySpan& keys) const;

  const FusedCall& call_;
  const TilePlan& plan_;
  PackedHead& head_;
  TileScratch& scratch_;
  const int64_t row_count_;
  const int64_t padded_row_count_;
  TileProducts products_;
  const std::byte* queries_ = nullptr;
  KeyRange hull_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_STATE_H_
