#include "kernels/fused/query_tile.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/elementwise/elementwise.h"
#include "kernels/fused/mask_rows.h"
#include "kernels/fused/query_rows.h"
#include "kernels/fused/tile_products.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// A thread's working memory, kept between tiles.
struct Scratch {
  AlignedArray<std::byte> queries;       // parts of [rows, inner width]
  AlignedArray<float> scores;            // [rows, score stride]
  AlignedArray<uint16_t> weights;        // parts of [rows, weight stride], BF16 only
  AlignedArray<float> outputs;           // [rows, output stride]
  AlignedArray<float> references;        // [rows]
  AlignedArray<float> sums;              // [rows]
  AlignedArray<int64_t> visible_ends;    // [rows]: keys before it are seen, but for masks
  AlignedArray<int32_t> visible_counts;  // [rows]: the same within a block
  std::vector<float> value_row;
  MaskRows masks;
};

class QueryTile {
 public:
  QueryTile(const QueryTileTask& task, Scratch& scratch)
      : call_(task.call),
        plan_(task.plan),
        problem_(task.call.problem),
        head_(task.head),
        group_rows_{.batch = task.head.batch(),
                    .key_value_head = task.head.head(),
                    .group_size = task.plan.group_size,
                    .first_row = task.first_row,
                    .row_count = task.row_count},
        row_count_(task.row_count),
        bf16_(plan_.products->bf16),
        padded_row_count_(PaddedRowCount(task.row_count, *plan_.products)),
        scratch_(scratch),
        products_(plan_, padded_row_count_, problem_.value.extents[3]) {
    scratch_.masks.Begin(problem_, head_.batch());
  }

  // Writes the rows that are `selected`, or all if that is null.
  absl::Status Compute(const uint8_t* selected) {
    Prepare();
    const int64_t end = VisibleEnd(row_count_ - 1);
    for (int64_t first_key = 0; first_key < end; first_key += plan_.key_columns) {
      if (StopRequested(call_.execution)) return absl::OkStatus();
      const int64_t count = std::min(plan_.key_columns, end - first_key);
      if (HiddenByMasks(first_key, count)) continue;
      if (absl::Status status = TakeBlock(first_key, count); !status.ok()) return status;
    }
    for (int64_t row = 0; row < row_count_; ++row) {
      if (selected == nullptr || selected[row] != 0) WriteOutput(row);
    }
    if (!call_.outputs.weights.present() && call_.options.scores == ScoresOutput::kNone) {
      return absl::OkStatus();
    }
    return WriteScoreMatrices(selected);
  }

  // Sets marks[row] for rows that see numbers which their split products cannot hold; returns how
  // many there are. After Compute.
  int64_t MarkUnsplittableRows(uint8_t* marks) const {
    const bool sees_all = call_.options.scores == ScoresOutput::kRaw;
    int64_t marked_count = 0;
    for (int64_t row = 0; row < row_count_; ++row) {
      const auto* query = reinterpret_cast<const float*>(group_rows_.Address(problem_.query, row));
      marks[row] = AllSplittable(query, problem_.query.extents[3]) ? 0 : 1;
    }
    for (int64_t block = 0; block < plan_.key_block_count; ++block) {
      for (const int64_t key : head_.UnsplittableKeys(block)) {
        for (int64_t row = 0; row < row_count_; ++row) {
          const bool sees = key < VisibleEnd(row) && scratch_.masks.Visible(ScoreRowOf(row), key);
          if (sees || sees_all) marks[row] = 1;
        }
      }
    }
    for (int64_t row = 0; row < row_count_; ++row) marked_count += marks[row];
    return marked_count;
  }

 private:
  [[nodiscard]] ScoreRow ScoreRowOf(int64_t row) const { return group_rows_.At(row); }

  [[nodiscard]] int64_t VisibleEnd(int64_t row) const { return scratch_.visible_ends.data()[row]; }

  void Prepare() {
    const auto rows = static_cast<size_t>(padded_row_count_);
    const auto parts = static_cast<size_t>(plan_.products->part_count);
    weight_part_elements_ = padded_row_count_ * plan_.weight_stride;
    scratch_.scores.Reserve(rows * static_cast<size_t>(plan_.score_stride));
    if (bf16_) scratch_.weights.Reserve(parts * static_cast<size_t>(weight_part_elements_));
    scratch_.outputs.Reserve(rows * static_cast<size_t>(plan_.output_stride));
    scratch_.references.Reserve(rows);
    scratch_.sums.Reserve(rows);
    scratch_.visible_ends.Reserve(rows);
    scratch_.visible_counts.Reserve(rows);
    std::fill_n(scratch_.outputs.data(), rows * static_cast<size_t>(plan_.output_stride), 0.0f);
    std::fill_n(scratch_.references.data(), rows, kMinusInfinity);
    std::fill_n(scratch_.sums.data(), rows, 0.0f);
    for (int64_t row = 0; row < row_count_; ++row) {
      scratch_.visible_ends.data()[row] =
          VisibleKeyCount(problem_, head_.batch(), ScoreRowOf(row).query);
    }
    queries_ = PackQueryRows(problem_, plan_, group_rows_, padded_row_count_, scratch_.queries);
  }

  [[nodiscard]] bool HiddenByMasks(int64_t first_key, int64_t count) {
    if (!problem_.boolean_mask.present() && !problem_.additive_mask.present()) return false;
    for (int64_t row = 0; row < row_count_; ++row) {
      const int64_t visible = VisibleInBlock(row, first_key, count);
      if (scratch_.masks.AnyVisible(ScoreRowOf(row), first_key, visible)) return false;
    }
    return true;
  }

  absl::Status ComputeScores(int64_t first_key, int64_t count) {
    const int64_t block = first_key / plan_.key_columns;
    head_.Require(block);
    return products_.ComputeScores(queries_, head_.Keys(block), plan_.PaddedColumns(count),
                                   scratch_.scores.data());
  }

  absl::Status AccumulateOutput(int64_t first_key, int64_t count) {
    const void* weights =
        bf16_ ? static_cast<const void*>(scratch_.weights.data()) : scratch_.scores.data();
    return products_.AccumulateOutput(weights, head_.Values(first_key / plan_.key_columns),
                                      plan_.PaddedColumns(count), scratch_.outputs.data());
  }

  // How many of the `count` keys from first_key on a row may see, as far as causality and lengths
  // say.
  [[nodiscard]] int64_t VisibleInBlock(int64_t row, int64_t first_key, int64_t count) const {
    return std::clamp<int64_t>(VisibleEnd(row) - first_key, 0, count);
  }

  absl::Status TakeBlock(int64_t first_key, int64_t count) {
    if (absl::Status status = ComputeScores(first_key, count); !status.ok()) return status;
    for (int64_t row = 0; row < row_count_; ++row) {
      const int64_t visible = VisibleInBlock(row, first_key, count);
      scratch_.visible_counts.data()[row] = static_cast<int32_t>(visible);
      if (call_.scale.scale_first) {
        scratch_.masks.Apply(ScoreRowOf(row), first_key, visible, call_.scale.scale,
                             RowOfScores(row));
      }
    }
    std::fill(scratch_.visible_counts.data() + row_count_,
              scratch_.visible_counts.data() + padded_row_count_, 0);
    const SoftmaxBlock block = {.scores = scratch_.scores.data(),
                                .score_stride_elements = plan_.score_stride,
                                .row_count = padded_row_count_,
                                .column_count = plan_.PaddedColumns(count),
                                .visible_counts = scratch_.visible_counts.data(),
                                .exponent_scale = call_.scale.exponent_scale,
                                .references = scratch_.references.data(),
                                .sums = scratch_.sums.data(),
                                .outputs = scratch_.outputs.data(),
                                .output_stride_elements = plan_.output_stride,
                                .output_count = problem_.value.extents[3]};
    if (bf16_) {
      SoftmaxToBF16(block, {.parts = scratch_.weights.data(),
                            .row_stride_elements = plan_.weight_stride,
                            .part_stride_elements = weight_part_elements_,
                            .part_count = plan_.products->part_count,
                            .exact_sums = call_.outputs.weights.present()});
    } else {
      SoftmaxToF32(block);
    }
    if (absl::Status status = AccumulateOutput(first_key, count); !status.ok()) return status;
    if (head_.HasNonFiniteValues(first_key / plan_.key_columns)) {
      AddNonFiniteValues(first_key, count);
    }
    return absl::OkStatus();
  }

  [[nodiscard]] float* RowOfScores(int64_t row) const {
    return scratch_.scores.data() + row * plan_.score_stride;
  }

  [[nodiscard]] float WeightAt(int64_t row, int64_t column) const {
    if (!bf16_) return RowOfScores(row)[column];
    float weight = 0;
    ConvertToF32(DataType::kBF16,
                 scratch_.weights.data() + row * plan_.weight_stride + PairedPosition(column), 1,
                 &weight);
    return weight;
  }

  // Values that are not finite were left out of the product; here they reach those who attend to
  // them.
  void AddNonFiniteValues(int64_t first_key, int64_t count) {
    const int64_t width = problem_.value.extents[3];
    std::vector<float>& values = scratch_.value_row;
    values.resize(static_cast<size_t>(width));
    for (int64_t column = 0; column < count; ++column) {
      const std::byte* source =
          RowAddress(problem_.value, head_.batch(), head_.head(), first_key + column);
      if (AllFinite(problem_.value.type, source, width)) continue;
      ConvertToF32(problem_.value.type, source, width, values.data());
      for (int64_t row = 0; row < row_count_; ++row) {
        if (column >= VisibleInBlock(row, first_key, count)) continue;
        if (!scratch_.masks.Visible(ScoreRowOf(row), first_key + column)) continue;
        float* output = scratch_.outputs.data() + row * plan_.output_stride;
        const float weight = WeightAt(row, column);
        for (int64_t i = 0; i < width; ++i) {
          const float value = values[static_cast<size_t>(i)];
          if (!std::isfinite(value)) output[i] += weight * value;
        }
      }
    }
  }

  // 1 / sum, or 0 for a row that saw nothing.
  [[nodiscard]] float Normalizer(int64_t row) const {
    const float sum = scratch_.sums.data()[row];
    return sum == 0 ? 0.0f : 1.0f / sum;
  }

  void WriteOutput(int64_t row) {
    const ScoreRow score_row = ScoreRowOf(row);
    ScaleFromF32(scratch_.outputs.data() + row * plan_.output_stride, Normalizer(row),
                 problem_.value.extents[3], problem_.query.type,
                 RowAddress(call_.outputs.output, head_.batch(), score_row.head, score_row.query));
  }

  // A second pass over the keys, now that the softmax is final. Hidden keys are included, for raw
  // scores.
  absl::Status WriteScoreMatrices(const uint8_t* selected) {
    const int64_t key_count = problem_.key.extents[2];
    const int64_t end =
        call_.options.scores == ScoresOutput::kRaw ? key_count : VisibleEnd(row_count_ - 1);
    for (int64_t first_key = 0; first_key < key_count; first_key += plan_.key_columns) {
      if (StopRequested(call_.execution)) return absl::OkStatus();
      const int64_t count = std::min(plan_.key_columns, key_count - first_key);
      const int64_t computed = std::clamp<int64_t>(end - first_key, 0, count);
      if (computed > 0) {
        if (absl::Status status = ComputeScores(first_key, computed); !status.ok()) return status;
      }
      for (int64_t row = 0; row < row_count_; ++row) {
        if (selected == nullptr || selected[row] != 0) {
          WriteScoreRow(row, first_key, count, computed);
        }
      }
    }
    return absl::OkStatus();
  }

  void WriteScoreRow(int64_t row, int64_t first_key, int64_t count, int64_t computed) {
    const ScoreRow score_row = ScoreRowOf(row);
    const ScoreScale& scale = call_.scale;
    float* scores = RowOfScores(row);
    const auto write = [&](const MutableTensorView& target, float factor) {
      ScaleFromF32(scores, factor, count, target.type,
                   RowAddress(target, head_.batch(), score_row.head, score_row.query) +
                       first_key * static_cast<int64_t>(ElementBytes(target.type)));
    };
    if (call_.options.scores == ScoresOutput::kRaw) write(call_.outputs.scores, scale.scale);
    const int64_t visible = VisibleInBlock(row, first_key, computed);
    if (scale.scale_first) {
      scratch_.masks.Apply(score_row, first_key, visible, scale.scale, scores);
    }
    std::fill(scores + visible, scores + count, kMinusInfinity);
    if (call_.options.scores == ScoresOutput::kMasked) {
      write(call_.outputs.scores, scale.scale_first ? 1.0f : scale.scale);
    }
    if (!call_.outputs.weights.present()) return;
    const float reference = scratch_.references.data()[row];
    if (reference == kMinusInfinity) {  // nothing was visible, or only -infinity and perhaps NaN
      std::fill_n(scores, visible, Normalizer(row));
      std::fill(scores + visible, scores + count, 0.0f);
    } else {
      NormalizeScores(scores, count, scale.exponent_scale, reference, Normalizer(row));
    }
    write(call_.outputs.weights, 1.0f);
  }

  const FusedCall& call_;
  const TilePlan& plan_;
  const AttentionProblem& problem_;
  PackedHead& head_;
  const GroupRows group_rows_;
  const int64_t row_count_;
  const bool bf16_;  // what the matrix kernels read
  const int64_t padded_row_count_;
  Scratch& scratch_;
  const std::byte* queries_ = nullptr;
  int64_t weight_part_elements_ = 0;
  TileProducts products_;
};

Scratch& ScratchOfThisThread() {
  thread_local Scratch scratch;
  return scratch;
}

// The rows that `marks` selects, in f32. Packs for itself: such rows are rare.
absl::Status ComputeInF32(const QueryTileTask& task, const uint8_t* marks) {
  thread_local PackedHead head;
  const TilePlan plan = PlanTiles(task.call.problem, kF32Products);
  head.Begin(task.call.problem, plan, task.head.batch(), task.head.head(),
             task.call.problem.key.extents[2]);
  const QueryTileTask f32_task = {task.call, plan, head, task.first_row, task.row_count};
  return QueryTile(f32_task, ScratchOfThisThread()).Compute(marks);
}

}  // namespace

absl::StatusOr<int64_t> ComputeQueryTile(const QueryTileTask& task) {
  QueryTile tile(task, ScratchOfThisThread());
  if (absl::Status status = tile.Compute(nullptr); !status.ok()) return status;
  const bool splits_f32 =
      task.plan.products->bf16 && task.call.problem.query.type == DataType::kF32;
  if (!splits_f32 || StopRequested(task.call.execution)) return 0;
  thread_local std::vector<uint8_t> marks;
  marks.resize(static_cast<size_t>(task.row_count));
  const int64_t marked_count = tile.MarkUnsplittableRows(marks.data());
  if (marked_count == 0) return 0;
  if (absl::Status status = ComputeInF32(task, marks.data()); !status.ok()) return status;
  return marked_count;
}

}  // namespace attention::kernels
