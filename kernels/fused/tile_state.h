// What the passes over the keys of a tile have in common.

#ifndef ATTENTION_KERNELS_FUSED_TILE_STATE_H_
#define ATTENTION_KERNELS_FUSED_TILE_STATE_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "kernels/aligned_array.h"
#include "kernels/fused/mask_rows.h"
#include "kernels/fused/query_rows.h"
#include "kernels/fused/query_tile.h"
#include "kernels/fused/row_statistics.h"
#include "kernels/fused/softmax_state.h"
#include "kernels/fused/tile_products.h"
#include "kernels/fused/tile_transform.h"

namespace attention::kernels {

// A thread's working memory, kept between tiles. Arrays of rows have an element for each padded
// row.
struct TileScratch {
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
  std::vector<float> value_row;
  std::vector<TileRows> strip_rows;  // of each strip of the span
  MaskRows masks;
  TileTransform transform;
  RowStatistics statistics;
};

// Columns [begin, end) of a span of keys.
struct Columns {
  int64_t begin = 0;
  int64_t end = 0;

  [[nodiscard]] int64_t count() const { return end - begin; }
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
  [[nodiscard]] int64_t row_count() const { return group_rows_.row_count; }
  [[nodiscard]] int64_t padded_row_count() const { return padded_row_count_; }
  [[nodiscard]] ScoreRow RowAt(int64_t row) const { return group_rows_.At(row); }
  [[nodiscard]] const std::byte* Query(int64_t row) const {
    return group_rows_.Address(call_.problem.query, row);
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

  [[nodiscard]] Columns VisibleColumns(int64_t row, const KeySpan& span) const;

  // Selects the rows of each strip of a span: all from the first to the last that sees one of its
  // keys. False if no row sees any.
  bool SelectRows(const KeySpan& span);

  // Products of queries and keys, of the rows that were selected; other scores may be any numbers.
  // kInternal if the matrix library failed.
  [[nodiscard]] absl::Status ComputeScores(const KeySpan& span);

  // Adds the products of weights and values, of the same rows; all other weights are 0.
  [[nodiscard]] absl::Status AccumulateOutput(const KeySpan& span);

  // Of the first keys of a span that was computed: what the softmax reads.
  void Transform(int64_t row, const KeySpan& span, const Columns& columns) const;

 private:
  void PrepareRows();
  [[nodiscard]] TileRows RowsSeeing(const KeySpan& strip) const;
  [[nodiscard]] int64_t StripCount(const KeySpan& span) const {
    return (span.count + plan_.strip_columns - 1) / plan_.strip_columns;
  }
  [[nodiscard]] KeySpan StripOf(const KeySpan& span, int64_t index) const {
    const int64_t begin = index * plan_.strip_columns;
    return {.first = span.first + begin,
            .count = std::min(plan_.strip_columns, span.count - begin)};
  }

  const FusedCall& call_;
  const TilePlan& plan_;
  PackedHead& head_;
  TileScratch& scratch_;
  const GroupRows group_rows_;
  const int64_t padded_row_count_;
  TileProducts products_;
  const std::byte* queries_ = nullptr;
  KeyRange hull_;
};

}  // namespace attention::kernels

#endif  // ATTENTION_KERNELS_FUSED_TILE_STATE_H_
