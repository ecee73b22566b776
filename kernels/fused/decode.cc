#include "kernels/fused/decode.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <new>

#include "kernels/aligned_array.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/stream_rows.h"
#include "kernels/first_error.h"
#include "kernels/fused/mask_rows.h"
#include "kernels/fused/score_scale.h"
#include "kernels/visibility.h"

namespace attention::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// A chunk's keys (128 KiB at width 128 in F32) stay in the second-level cache while each block of
// query rows passes over them.
constexpr int64_t kChunkKeys = 256;

// Beyond this many rows a tile of matrix products is faster than streaming.
constexpr int64_t kMaxQueries = 8;
constexpr int64_t kMaxRows = 32;

constexpr int64_t kVectorElements = 16;

// A thread keeps at most this much for its next call.
constexpr size_t kKeptElements = size_t{4} << 20;

// Results of the chunks before they are merged.
struct Partials {
  AlignedArray<float> maxima;   // [groups, chunks, rows]
  AlignedArray<float> sums;     // [groups, chunks, rows]
  AlignedArray<float> outputs;  // [groups, chunks, rows, output stride]
};

// All query heads of one key-value head, each with all queries: row = head in group * queries +
// query.
class DecodeCall {
 public:
  DecodeCall(const AttentionProblem& problem, float scale, const AttentionOutputs& outputs,
             const Execution& execution, Partials& partials)
      : problem_(problem),
        scale_(problem, scale),
        outputs_(outputs),
        execution_(execution),
        group_size_(problem.query.extents[1] / problem.key.extents[1]),
        row_count_(group_size_ * problem.query.extents[2]),
        chunk_count_(std::max<int64_t>((problem.key.extents[2] + kChunkKeys - 1) / kChunkKeys, 1)),
        output_stride_(RoundUp(problem.value.extents[3], kVectorElements)),
        partials_(partials) {
    const auto partial_rows = static_cast<size_t>(group_count() * chunk_count_ * row_count_);
    partials.maxima.Reserve(partial_rows);
    partials.sums.Reserve(partial_rows);
    partials.outputs.Reserve(partial_rows * static_cast<size_t>(output_stride_));
  }

  int Run(FirstError& error) {
    const int threads = RunItems(execution_, group_count() * chunk_count_, [&](int64_t item) {
      try {
        ComputeChunk(item / chunk_count_, item % chunk_count_);
      } catch (const std::bad_alloc&) {
        error.Update(absl::ResourceExhaustedError("no memory for a chunk of keys"));
      }
    });
    if (!error.Get().ok() || StopRequested(execution_)) return threads;
    RunItems(execution_, group_count(), [&](int64_t group) { Merge(group); });
    return threads;
  }

 private:
  [[nodiscard]] int64_t group_count() const {
    return problem_.key.extents[0] * problem_.key.extents[1];
  }
  [[nodiscard]] int64_t HeadOf(int64_t group, int64_t row) const {
    return group % problem_.key.extents[1] * group_size_ + row / problem_.query.extents[2];
  }
  [[nodiscard]] int64_t BatchOf(int64_t group) const { return group / problem_.key.extents[1]; }
  [[nodiscard]] int64_t QueryOf(int64_t row) const { return row % problem_.query.extents[2]; }

  // Where a partial result's first row stands.
  [[nodiscard]] int64_t PartialRow(int64_t group, int64_t chunk) const {
    return (group * chunk_count_ + chunk) * row_count_;
  }

  // Keys of the chunk that some query sees.
  [[nodiscard]] int64_t VisibleInChunk(int64_t batch, int64_t query, int64_t chunk) const {
    return std::clamp<int64_t>(VisibleKeyCount(problem_, batch, query) - chunk * kChunkKeys, 0,
                               kChunkKeys);
  }

  [[nodiscard]] StreamedRows Stream(const TensorView& view, int64_t group, int64_t chunk,
                                    int64_t count) const {
    StreamedRows rows;
    rows.type = view.type;
    rows.data =
        RowAddress(view, BatchOf(group), group % problem_.key.extents[1], chunk * kChunkKeys);
    rows.row_stride_bytes = view.strides[2] * static_cast<int64_t>(ElementBytes(view.type));
    rows.row_count = count;
    rows.width = view.extents[3];
    return rows;
  }

  static void FetchAfter(StreamedRows& rows, const StreamedRows& next) {
    rows.next = next.data;
    rows.next_row_stride_bytes = next.row_stride_bytes;
    rows.next_row_bytes = next.width * static_cast<int64_t>(ElementBytes(next.type));
  }

  void ComputeChunk(int64_t group, int64_t chunk) {
    const int64_t partial = PartialRow(group, chunk);
    std::fill_n(partials_.maxima.data() + partial, row_count_, kMinusInfinity);
    std::fill_n(partials_.sums.data() + partial, row_count_, 0.0f);
    float* outputs = partials_.outputs.data() + partial * output_stride_;
    std::fill_n(outputs, row_count_ * output_stride_, 0.0f);
    const int64_t batch = BatchOf(group);
    const int64_t count = VisibleInChunk(batch, problem_.query.extents[2] - 1, chunk);
    if (count == 0) return;

    thread_local AlignedArray<float> scores;
    const int64_t score_stride = RoundUp(count, kColumnMultiple);
    scores.Reserve(static_cast<size_t>(row_count_ * score_stride));
    const FewRows weights = {scores.data(), score_stride, row_count_};
    StreamedRows keys = Stream(problem_.key, group, chunk, count);
    StreamedRows values = Stream(problem_.value, group, chunk, count);
    FetchAfter(keys, values);
    DotStreamedRows(keys, Queries(group), weights);
    WeighScores(group, chunk, count, weights);
    if (VisibleInChunk(batch, problem_.query.extents[2] - 1, chunk + 1) == kChunkKeys) {
      FetchAfter(values, Stream(problem_.key, group, chunk + 1, count));
    }
    SumStreamedRows(values, weights, {outputs, output_stride_, row_count_});
    RepairRows(group, chunk, values, weights, outputs);
  }

  // The thread's own.
  [[nodiscard]] MaskRows& Masks(int64_t batch) const {
    thread_local MaskRows masks;
    masks.Begin(problem_, batch);
    return masks;
  }

  // The group's queries in f32.
  [[nodiscard]] FewRows Queries(int64_t group) const {
    thread_local AlignedArray<float> queries;
    const int64_t width = problem_.query.extents[3];
    queries.Reserve(static_cast<size_t>(row_count_ * width));
    for (int64_t row = 0; row < row_count_; ++row) {
      ConvertToF32(problem_.query.type,
                   RowAddress(problem_.query, BatchOf(group), HeadOf(group, row), QueryOf(row)),
                   width, queries.data() + row * width);
    }
    return {queries.data(), width, row_count_};
  }

  // Scores to weights, with each row's maximum and sum. Hidden keys weigh 0.
  void WeighScores(int64_t group, int64_t chunk, int64_t count, const FewRows& scores) {
    const int64_t batch = BatchOf(group);
    MaskRows& masks = Masks(batch);
    for (int64_t row = 0; row < row_count_; ++row) {
      const auto visible =
          static_cast<int32_t>(std::min(count, VisibleInChunk(batch, QueryOf(row), chunk)));
      float* score_row = scores.data + row * scores.stride_elements;
      if (scale_.scale_first) {
        masks.Apply({HeadOf(group, row), QueryOf(row)}, chunk * kChunkKeys, visible, scale_.scale,
                    score_row);
      }
      SoftmaxToF32({.scores = score_row,
                    .score_stride_elements = scores.stride_elements,
                    .row_count = 1,
                    .column_count = scores.stride_elements,
                    .visible_counts = &visible,
                    .exponent_scale = scale_.exponent_scale,
                    .references = partials_.maxima.data() + PartialRow(group, chunk) + row,
                    .sums = partials_.sums.data() + PartialRow(group, chunk) + row,
                    .outputs = nullptr,
                    .output_stride_elements = 0,
                    .output_count = 0});
    }
  }

  // A hidden value that is not finite has spoilt the rows' sums, as 0 * NaN: those rows are summed
  // again without what is hidden from them.
  void RepairRows(int64_t group, int64_t chunk, const StreamedRows& values, const FewRows& weights,
                  float* outputs) const {
    constexpr float kHidden = -1;  // no weight is negative
    const MaskRows& masks = Masks(BatchOf(group));
    for (int64_t row = 0; row < row_count_; ++row) {
      float* output = outputs + row * output_stride_;
      if (AllFinite(DataType::kF32, output, values.width)) continue;
      const int64_t visible = VisibleInChunk(BatchOf(group), QueryOf(row), chunk);
      float* weight_row = weights.data + row * weights.stride_elements;
      for (int64_t key = 0; key < values.row_count; ++key) {
        if (key >= visible ||
            !masks.Visible({HeadOf(group, row), QueryOf(row)}, chunk * kChunkKeys + key)) {
          weight_row[key] = kHidden;
        }
      }
      SumStreamedRowsExcept(values, weight_row, kHidden, output);
    }
  }

  // Adds up a group's chunks in order, each scaled from its own maximum to the common one.
  void Merge(int64_t group) {
    thread_local AlignedArray<float> merged;
    const int64_t width = problem_.value.extents[3];
    merged.Reserve(static_cast<size_t>(width));
    for (int64_t row = 0; row < row_count_; ++row) {
      float maximum = kMinusInfinity;
      for (int64_t chunk = 0; chunk < chunk_count_; ++chunk) {
        maximum = std::max(maximum, partials_.maxima.data()[PartialRow(group, chunk) + row]);
      }
      float sum = 0;
      std::fill_n(merged.data(), width, 0.0f);
      for (int64_t chunk = 0; chunk < chunk_count_; ++chunk) {
        const int64_t partial = PartialRow(group, chunk) + row;
        const float chunk_maximum = partials_.maxima.data()[partial];
        // A chunk that saw nothing counts 0, but a NaN in its sum is kept.
        const float factor = chunk_maximum == kMinusInfinity
                                 ? 0.0f
                                 : std::exp2((chunk_maximum - maximum) * scale_.exponent_scale);
        sum += partials_.sums.data()[partial] * factor;
        const float* output = partials_.outputs.data() + partial * output_stride_;
        for (int64_t column = 0; column < width; ++column)
          merged.data()[column] += output[column] * factor;
      }
      ScaleFromF32(merged.data(), sum == 0 ? 0.0f : 1.0f / sum, width, problem_.query.type,
                   RowAddress(outputs_.output, BatchOf(group), HeadOf(group, row), QueryOf(row)));
    }
  }

  const AttentionProblem& problem_;
  const ScoreScale scale_;
  const AttentionOutputs& outputs_;
  const Execution& execution_;
  const int64_t group_size_;
  const int64_t row_count_;
  const int64_t chunk_count_;
  const int64_t output_stride_;
  const Partials& partials_;
};

}  // namespace

bool IsDecode(const AttentionProblem& problem, const AttentionOptions& options,
              const AttentionOutputs& outputs) {
  const int64_t query_count = problem.query.extents[2];
  const int64_t group_size = problem.query.extents[1] / problem.key.extents[1];
  return query_count <= kMaxQueries && query_count * group_size <= kMaxRows &&
         options.scores == ScoresOutput::kNone && !outputs.weights.present();
}

absl::StatusOr<int> ComputeDecode(const AttentionProblem& problem, float scale,
                                  const AttentionOutputs& outputs, const Execution& execution) {
  thread_local Partials partials;
  FirstError error;
  DecodeCall call(problem, scale, outputs, execution, partials);
  const int threads = call.Run(error);
  if (partials.outputs.size() > kKeptElements) partials = Partials();
  if (absl::Status status = error.Get(); !status.ok()) return status;
  return threads;
}

}  // namespace attention::kernels
