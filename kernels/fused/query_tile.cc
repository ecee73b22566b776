// What a tile is made of:
//
//   TilePlan       how the call is cut into tiles and blocks: one for all of them, immutable
//   TileScratch    the thread's memory, in which all of the following work
//   TileState      the tile's rows, what they see, and which strips of a block they take
//   TileProducts   the state's two products: queries and keys to scores, weights and values to sums
//   TileTransform  what becomes of a block's scores between their product and the softmax
//   QueryTile      the first pass over blocks: scores, transform, softmax, sums; writes outputs
//   TileResults    the second pass, now that the softmax is final: weights, scores, statistics
//
// In the first pass TileTransform hands masks to the softmax, which applies them as it reads. Where
// it cannot (MaskPlace::kScores), and in the second pass, which has no running softmax, a row is
// masked in place by TileState::Transform, which is MaskRows::Apply on a row of the tile.

#include "kernels/fused/query_tile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/row_outputs.h"
#include "kernels/fused/tile_results.h"
#include "kernels/fused/tile_state.h"

namespace attention::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

class QueryTile {
 public:
  QueryTile(const QueryTileTask& task, TileScratch& scratch)
      : call_(task.call),
        plan_(task.plan),
        problem_(task.call.problem),
        head_(task.head),
        bf16_(plan_.products->bf16),
        scratch_(scratch),
        tile_(task, scratch) {}

  // The first pass over the keys. Ends early, if a stop is requested.
  absl::Status Compute() {
    Prepare();
    const KeyRange& hull = tile_.hull();
    for (int64_t block = hull.begin / plan_.key_columns; block * plan_.key_columns < hull.end;
         ++block) {
      if (StopRequested(call_.execution)) return absl::OkStatus();
      const KeySpan span = tile_.SpanOf(block, hull);
      if (!tile_.Select(span)) continue;
      if (absl::Status status = TakeSpan(span); !status.ok()) return status;
    }
    for (int64_t row = 0; row < tile_.row_count(); ++row) {
      scratch_.softmax.emplace_back(call_, tile_.RowAt(row).head, scratch_.references.data()[row],
                                    scratch_.sums.data()[row]);
    }
    return absl::OkStatus();
  }

  // Whether a result may not be finite because of a hidden value. After Compute.
  [[nodiscard]] bool MayBeSpoilt() const {
    return head_.HasUncheckedValues() && !AllFinite(DataType::kF32, scratch_.outputs.data(),
                                                    tile_.row_count() * plan_.output_stride);
  }

  // Sets marks[row] for rows that see numbers which their split products cannot hold; returns how
  // many there are. After Compute.
  int64_t MarkUnsplittableRows(uint8_t* marks) {
    const int64_t row_count = tile_.row_count();
    const bool sees_all = call_.ScoresHiddenKeys();
    for (int64_t row = 0; row < row_count; ++row) {
      const auto* query = reinterpret_cast<const float*>(tile_.Query(row));
      marks[row] = AllSplittable(query, problem_.query.extents[3]) ? 0 : 1;
    }
    for (int64_t block = 0; block < plan_.key_block_count; ++block) {
      if (sees_all) head_.Require(block);
      for (const int64_t key : head_.UnsplittableKeys(block)) {
        for (int64_t row = 0; row < row_count; ++row) {
          if (sees_all || Sees(row, key)) marks[row] = 1;
        }
      }
    }
    return std::count(marks, marks + row_count, 1);
  }

  // Writes the rows that are `selected`, or all if that is null. After Compute.
  absl::Status Write(const uint8_t* selected) {
    RowOutputs outputs(call_, head_.batch(), head_.head());
    scratch_.finished_rows.clear();
    for (int64_t row = 0; row < tile_.row_count(); ++row) {
      if (selected != nullptr && selected[row] == 0) continue;
      const ScoreRow score_row = tile_.RowAt(row);
      float* output = scratch_.outputs.data() + row * plan_.output_stride;
      const float factor =
          outputs.Finish(score_row, scratch_.softmax[static_cast<size_t>(row)], output);
      scratch_.finished_rows.emplace_back(output, factor, outputs.Address(score_row));
    }
    ScaleFromF32(scratch_.finished_rows, problem_.value.extents[3], problem_.query.type);
    return TileResults(tile_, selected).Write();
  }

 private:
  void Prepare() {
    const auto rows = static_cast<size_t>(tile_.padded_row_count());
    const auto parts = static_cast<size_t>(plan_.products->part_count);
    weight_part_elements_ = tile_.padded_row_count() * plan_.weight_stride;
    if (bf16_) scratch_.weights.Reserve(parts * static_cast<size_t>(weight_part_elements_));
    scratch_.outputs.Reserve(rows * static_cast<size_t>(plan_.output_stride));
    scratch_.references.Reserve(rows);
    scratch_.sums.Reserve(rows);
    scratch_.visible_begins.Reserve(rows);
    scratch_.visible_ends.Reserve(rows);
    scratch_.likely_maxima.Reserve(rows);
    scratch_.softmax.clear();
    scratch_.softmax.reserve(static_cast<size_t>(tile_.row_count()));
    scratch_.finished_rows.reserve(static_cast<size_t>(tile_.row_count()));
    std::fill_n(scratch_.outputs.data(), rows * static_cast<size_t>(plan_.output_stride), 0.0f);
    std::fill_n(scratch_.references.data(), rows, kMinusInfinity);
    std::fill_n(scratch_.sums.data(), rows, 0.0f);
  }

  [[nodiscard]] bool Sees(int64_t row, int64_t key) const {
    const KeyRange& keys = tile_.VisibleKeysOf(row);
    return key >= keys.begin && key < keys.end && scratch_.masks.Visible(tile_.RowAt(row), key);
  }

  absl::Status TakeSpan(const KeySpan& span) {
    if (absl::Status status = tile_.ComputeScores(); !status.ok()) return status;
    for (int64_t row = 0; row < tile_.padded_row_count(); ++row) {
      const Columns visible = tile_.VisibleColumns(row, span);
      scratch_.visible_begins.data()[row] = static_cast<int32_t>(visible.begin);
      scratch_.visible_ends.data()[row] = static_cast<int32_t>(visible.end);
    }
    Weigh(span);
    if (absl::Status status = tile_.AccumulateOutput(); !status.ok()) return status;
    if (head_.HasNonFiniteValues(span.first / plan_.key_columns)) AddNonFiniteValues(span);
    return absl::OkStatus();
  }

  // Scores to weights.
  void Weigh(const KeySpan& span) {
    const bool rises = FindLikelyMaxima(span);
    SoftmaxBlock block = {.scores = scratch_.scores.data(),
                          .score_stride_elements = plan_.score_stride,
                          .row_count = tile_.padded_row_count(),
                          .first_row = 0,
                          .column_count = plan_.PaddedColumns(span.count),
                          .visible_begins = scratch_.visible_begins.data(),
                          .visible_ends = scratch_.visible_ends.data(),
                          .likely_maxima = rises ? scratch_.likely_maxima.data() : nullptr,
                          .transform = nullptr,
                          .exponent_scales = scratch_.exponent_scales.data(),
                          .references = scratch_.references.data(),
                          .sums = scratch_.sums.data(),
                          .outputs = scratch_.outputs.data(),
                          .output_stride_elements = plan_.output_stride,
                          .output_count = problem_.value.extents[3]};
    TileTransform& transform = scratch_.transform;
    transform.Begin(tile_, span);
    for (int64_t first = 0; first < block.row_count; first += transform.RowsAtOnce()) {
      const int64_t end = std::min(first + transform.RowsAtOnce(), block.row_count);
      block.transform = transform.ForRows(first, end);
      Weigh(block, first, end - first);
    }
  }

  void Weigh(const SoftmaxBlock& block, int64_t first_row, int64_t row_count) {
    const SoftmaxBlock rows = block.Rows(first_row, row_count);
    if (!bf16_) return SoftmaxToF32(rows);
    SoftmaxToBF16(
        rows, {.parts = scratch_.weights.data() + first_row * plan_.weight_stride,
               .row_stride_elements = plan_.weight_stride,
               .part_stride_elements = weight_part_elements_,
               .part_count = plan_.products->part_count,
               .exact_sums = call_.outputs.weights.present() || call_.outputs.AsksForStatistics()});
  }

  // Where a bias makes scores rise towards a key, the softmax shall look there for the maximum.
  // False if nothing of the kind is known.
  bool FindLikelyMaxima(const KeySpan& span) {
    const Alibi& alibi = problem_.alibi;
    if (alibi.slopes.empty()) return false;
    for (int64_t row = 0; row < tile_.padded_row_count(); ++row) {
      const int64_t begin = scratch_.visible_begins.data()[row];
      const int64_t end = scratch_.visible_ends.data()[row];
      const int64_t last = std::max(begin, end - 1);
      if (row >= tile_.row_count() || !alibi.symmetric) {
        scratch_.likely_maxima.data()[row] = static_cast<int32_t>(last);
        continue;
      }
      const int64_t position = QueryPosition(problem_, head_.batch(), tile_.RowAt(row).query);
      scratch_.likely_maxima.data()[row] =
          static_cast<int32_t>(std::clamp(SaturatingSubtract(position, span.first), begin, last));
    }
    return true;
  }

  [[nodiscard]] float WeightAt(int64_t row, int64_t column) const {
    if (!bf16_) return tile_.Scores(row)[column];
    float weight = 0;
    ConvertToF32(DataType::kBF16,
                 scratch_.weights.data() + row * plan_.weight_stride + PairedPosition(column), 1,
                 &weight);
    return weight;
  }

  // Values that are not finite were left out of the product; here they reach those who attend to
  // them.
  void AddNonFiniteValues(const KeySpan& span) {
    const int64_t width = problem_.value.extents[3];
    std::vector<float>& values = scratch_.value_row;
    values.resize(static_cast<size_t>(width));
    for (int64_t key = span.first; key < span.end(); ++key) {
      const std::byte* source = RowAddress(problem_.value, head_.batch(), head_.head(), key);
      if (AllFinite(problem_.value.type, source, width)) continue;
      ConvertToF32(problem_.value.type, source, width, values.data());
      for (int64_t row = 0; row < tile_.row_count(); ++row) {
        if (!Sees(row, key)) continue;
        float* output = scratch_.outputs.data() + row * plan_.output_stride;
        const float weight = WeightAt(row, key - span.first);
        for (int64_t i = 0; i < width; ++i) {
          const float value = values[static_cast<size_t>(i)];
          if (!std::isfinite(value)) output[i] += weight * value;
        }
      }
    }
  }

  const FusedCall& call_;
  const TilePlan& plan_;
  const AttentionProblem& problem_;
  PackedHead& head_;
  const bool bf16_;  // what the matrix kernels read
  TileScratch& scratch_;
  TileState tile_;
  int64_t weight_part_elements_ = 0;
};

// What a thread keeps for its next tile, at most, of working memory that grows with the widths of
// heads, and of keys and values packed again. Widths of 1024 need little more than half of it.
constexpr int64_t kKeptScratchBytes = int64_t{8} << 20;

TileScratch& ScratchOfThisThread() {
  thread_local TileScratch scratch;
  return scratch;
}

// The rows that `marks` selects, or all if that is null, in f32 and with clean values. Packs for
// itself: such rows are rare.
absl::Status ComputeCarefully(const QueryTileTask& task, const uint8_t* marks) {
  thread_local PackedHead head;
  const absl::Cleanup release = [] { head.ReleaseAbove(kKeptScratchBytes); };
  const TilePlan plan = PlanTiles(task.call.problem, kF32Products, /*thread_count=*/1);
  head.Begin(task.call.problem, plan, task.head.batch(), task.head.head(),
             task.call.problem.key.extents[2], {.keeps_blocks = false, .clean_values = true});
  const QueryTileTask f32_task = {task.call, plan, head, task.first_row, task.row_count};
  QueryTile tile(f32_task, ScratchOfThisThread());
  if (absl::Status status = tile.Compute(); !status.ok()) return status;
  if (StopRequested(task.call.execution)) return absl::OkStatus();
  return tile.Write(marks);
}

}  // namespace

absl::StatusOr<int64_t> ComputeQueryTile(const QueryTileTask& task) {
  TileScratch& scratch = ScratchOfThisThread();
  const absl::Cleanup release = [&] { scratch.ReleaseAbove(kKeptScratchBytes); };
  QueryTile tile(task, scratch);
  if (absl::Status status = tile.Compute(); !status.ok()) return status;
  if (StopRequested(task.call.execution)) return 0;
  if (tile.MayBeSpoilt()) {
    if (absl::Status status = ComputeCarefully(task, nullptr); !status.ok()) return status;
    return 0;
  }
  const bool splits_f32 =
      task.plan.products->bf16 && task.call.problem.query.type == DataType::kF32;
  thread_local std::vector<uint8_t> marks;
  int64_t marked_count = 0;
  if (splits_f32) {
    marks.resize(static_cast<size_t>(task.row_count));
    marked_count = tile.MarkUnsplittableRows(marks.data());
  }
  if (marked_count == 0) {
    if (absl::Status status = tile.Write(nullptr); !status.ok()) return status;
    return 0;
  }
  // Each row is written, and counted in the mass of the keys, once.
  const auto turn_marks = [&] {
    for (uint8_t& mark : marks) mark ^= 1;
  };
  turn_marks();
  if (absl::Status status = tile.Write(marks.data()); !status.ok()) return status;
  turn_marks();
  if (absl::Status status = ComputeCarefully(task, marks.data()); !status.ok()) return status;
  return marked_count;
}

}  // namespace attention::kernels
