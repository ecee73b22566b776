#include "kernels/fused/decode.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/cleanup/cleanup.h"
#include "kernels/aligned_array.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/elementwise/stream_rows.h"
#include "kernels/fused/mask_rows.h"
#include "kernels/fused/row_outputs.h"
#include "kernels/fused/row_statistics.h"
#include "kernels/kept.h"
#include "kernels/products.h"

namespace attention::kernels {
namespace {

constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// A chunk's keys (128 KiB at width 128 in F32) stay in the second-level cache while each block of
// query rows passes over them.
constexpr int64_t kChunkKeys = 256;

constexpr int64_t kMaxQueries = 8;
constexpr int64_t kMaxRows = 32;  // of a key-value head

// Beyond this many rows of a key-value head a tile of matrix products takes less processor time
// than streaming, be keys and values in the cache or not. Measured on one Zen 5 core, with 512 to
// 32,768 keys of width 128: streaming takes at 16 rows in BF16 1.2 to 1.8 times as long as tiles of
// BF16 products, at 24 rows in F32 1.2 to 1.4 times; of numbers that are widened, tiles must pack
// more than they save.
int64_t MostRows(const AttentionProblem& problem) {
  constexpr int64_t kMaxRowsBesideBF16Products = 12;
  constexpr int64_t kMaxRowsInF32 = 24;
  // A head's tile is one thread's, its chunks are as many threads' as there are.
  constexpr int64_t kFewHeads = 4;
  if (problem.key.extents[1] < kFewHeads) return kMaxRows;
  if (ChooseProducts(problem.query.type, Precision::kF32).bf16) return kMaxRowsBesideBF16Products;
  return problem.query.type == DataType::kF32 ? kMaxRowsInF32 : kMaxRows;
}

constexpr int64_t kVectorElements = 16;

// A thread keeps at most this much for its next call: of partial results, and of rows that it
// gathers.
constexpr size_t kKeptElements = size_t{4} << 20;
constexpr size_t kKeptRowBytes = size_t{1} << 20;

int64_t ChunkCount(const AttentionProblem& problem) {
  return std::max<int64_t>(DivideUp(problem.key.extents[2], kChunkKeys), 1);
}

int64_t OutputStride(const AttentionProblem& problem) {
  return RoundUp(problem.value.extents[3], kVectorElements);
}

// Results of the chunks before they are merged. DecodeBytes counts them.
struct Partials {
  AlignedArray<float> maxima;   // [groups, chunks, rows]
  AlignedArray<float> sums;     // [groups, chunks, rows]
  AlignedArray<float> outputs;  // [groups, chunks, rows, output stride]
  AlignedArray<float> scores;   // [groups, rows, keys], only if statistics need the weights
};

// All query heads of one key-value head, each with all queries: row = head in group * queries +
// query.
class DecodeCall {
 public:
  DecodeCall(const FusedCall& call, Partials& partials)
      : call_(call),
        problem_(call.problem),
        group_size_(problem_.query.extents[1] / problem_.key.extents[1]),
        row_count_(group_size_ * problem_.query.extents[2]),
        chunk_count_(ChunkCount(problem_)),
        output_stride_(OutputStride(problem_)),
        keeps_scores_(RowStatistics::NeedsWeights(call.outputs)),
        partials_(partials) {
    const auto partial_rows = static_cast<size_t>(group_count() * chunk_count_ * row_count_);
    partials.maxima.Reserve(partial_rows);
    partials.sums.Reserve(partial_rows);
    partials.outputs.Reserve(partial_rows * static_cast<size_t>(output_stride_));
    if (keeps_scores_) {
      partials.scores.Reserve(
          static_cast<size_t>(group_count() * row_count_ * problem_.key.extents[2]));
    }
  }

  int Run() {
    const int threads =
        RunItems(call_.execution, group_count() * chunk_count_,
                 [this](int64_t item) { ComputeChunk(item / chunk_count_, item % chunk_count_); });
    if (StopRequested(call_.execution)) return threads;
    RunItems(call_.execution, group_count(), [this](int64_t group) { Merge(group); });
    return threads;
  }

 private:
  [[nodiscard]] int64_t group_count() const {
    return problem_.key.extents[0] * problem_.key.extents[1];
  }
  [[nodiscard]] int64_t BatchOf(int64_t group) const { return group / problem_.key.extents[1]; }
  [[nodiscard]] int64_t KeyValueHeadOf(int64_t group) const {
    return group % problem_.key.extents[1];
  }
  [[nodiscard]] ScoreRow RowOf(int64_t group, int64_t row) const {
    return {.head = KeyValueHeadOf(group) * group_size_ + row / problem_.query.extents[2],
            .query = row % problem_.query.extents[2]};
  }

  // Where a partial result's first row stands.
  [[nodiscard]] int64_t PartialRow(int64_t group, int64_t chunk) const {
    return (group * chunk_count_ + chunk) * row_count_;
  }

  // Keys of the chunk that some query may see.
  [[nodiscard]] KeySpan SpanOf(int64_t batch, int64_t chunk) const {
    const KeyRange hull = call_.visibility.Hull(batch);
    const int64_t first = std::max(hull.begin, chunk * kChunkKeys);
    const int64_t end = std::min(hull.end, (chunk + 1) * kChunkKeys);
    return {.first = first, .count = std::max<int64_t>(end - first, 0)};
  }

  [[nodiscard]] StreamedRows Stream(const TensorView& view, int64_t group,
                                    const KeySpan& span) const {
    StreamedRows rows;
    rows.type = view.type;
    rows.data = RowAddress(view, BatchOf(group), KeyValueHeadOf(group), span.first);
    rows.row_stride_bytes = view.strides[2] * static_cast<int64_t>(ElementBytes(view.type));
    rows.row_count = span.count;
    rows.width = view.extents[3];
    return rows;
  }

  static void FetchAfter(StreamedRows& rows, const StreamedRows& next) {
    rows.next = next.data;
    rows.next_row_stride_bytes = next.row_stride_bytes;
    rows.next_row_bytes = RowBytes(next);
  }

  void ComputeChunk(int64_t group, int64_t chunk) {
    const int64_t partial = PartialRow(group, chunk);
    std::fill_n(partials_.maxima.data() + partial, row_count_, kMinusInfinity);
    std::fill_n(partials_.sums.data() + partial, row_count_, 0.0f);
    float* outputs = partials_.outputs.data() + partial * output_stride_;
    std::fill_n(outputs, row_count_ * output_stride_, 0.0f);
    const KeySpan span = SpanOf(BatchOf(group), chunk);
    if (keeps_scores_) HideScores(group, chunk);
    if (span.count == 0) return;

    thread_local AlignedArray<float> scores;
    thread_local AlignedArray<std::byte> queries;
    const absl::Cleanup release = [] { queries.ReleaseAbove(kKeptRowBytes); };
    const int64_t score_stride = RoundUp(span.count, kColumnMultiple);
    scores.Reserve(static_cast<size_t>(row_count_ * score_stride));
    const FewRows weights = {scores.data(), score_stride, row_count_};
    StreamedRows keys = Stream(problem_.key, group, span);
    StreamedRows values = Stream(problem_.value, group, span);
    FetchAfter(keys, values);
    DotStreamedRows(keys, GatherQueries(group, queries), weights);
    WeighScores(group, partial, span, weights);
    const KeySpan next = SpanOf(BatchOf(group), chunk + 1);
    if (next.count == span.count) FetchAfter(values, Stream(problem_.key, group, next));
    SumStreamedRows(values, weights, {outputs, output_stride_, row_count_});
    RepairRows(group, span, weights, outputs);
  }

  // The scores of a row that statistics are made of.
  [[nodiscard]] float* KeptScores(int64_t group, int64_t row) const {
    return partials_.scores.data() + (group * row_count_ + row) * problem_.key.extents[2];
  }

  void HideScores(int64_t group, int64_t chunk) const {
    const int64_t end = std::min((chunk + 1) * kChunkKeys, problem_.key.extents[2]);
    for (int64_t row = 0; row < row_count_; ++row) {
      float* scores = KeptScores(group, row);
      std::fill(scores + chunk * kChunkKeys, scores + end, kMinusInfinity);
    }
  }

  // The thread's own.
  [[nodiscard]] MaskRows& Masks(int64_t batch) const {
    thread_local MaskRows masks;
    masks.Begin(call_, batch);
    return masks;
  }

  // The group's queries, one after the other, in `queries`.
  [[nodiscard]] QueryRows GatherQueries(int64_t group, AlignedArray<std::byte>& queries) const {
    const DataType type = QueryRowType(problem_.key.type);
    const int64_t width = problem_.query.extents[3];
    const int64_t row_bytes = width * static_cast<int64_t>(ElementBytes(type));
    queries.Reserve(static_cast<size_t>(row_count_ * row_bytes));
    for (int64_t row = 0; row < row_count_; ++row) {
      const ScoreRow score_row = RowOf(group, row);
      const std::byte* source =
          RowAddress(problem_.query, BatchOf(group), score_row.head, score_row.query);
      std::byte* target = queries.data() + row * row_bytes;
      if (type == problem_.query.type) {
        std::memcpy(target, source, static_cast<size_t>(row_bytes));
      } else {
        ConvertToF32(problem_.query.type, source, width, reinterpret_cast<float*>(target));
      }
    }
    return {queries.data(), row_bytes, row_count_};
  }

  // Scores to weights, with each row's maximum and sum. Hidden keys weigh 0.
  void WeighScores(int64_t group, int64_t partial, const KeySpan& span, const FewRows& scores) {
    const int64_t batch = BatchOf(group);
    MaskRows& masks = Masks(batch);
    for (int64_t row = 0; row < row_count_; ++row) {
      const ScoreRow score_row = RowOf(group, row);
      const Columns visible = ColumnsOf(call_.visibility.Keys(batch, score_row), span);
      const auto begin = static_cast<int32_t>(visible.begin);
      const auto end = static_cast<int32_t>(visible.end);
      const float exponent_scale = call_.form.ExponentScale(score_row.head);
      float* numbers = scores.data + row * scores.stride_elements;
      if (masks.transforms()) {
        masks.Apply(score_row, {span.first + begin, end - begin}, numbers + begin);
      }
      if (keeps_scores_) {
        std::copy(numbers + begin, numbers + end, KeptScores(group, row) + span.first + begin);
      }
      SoftmaxToF32({.scores = numbers,
                    .score_stride_elements = scores.stride_elements,
                    .row_count = 1,
                    .first_row = 0,
                    .column_count = scores.stride_elements,
                    .visible_begins = &begin,
                    .visible_ends = &end,
                    .likely_maxima = nullptr,
                    .transform = nullptr,
                    .exponent_scales = &exponent_scale,
                    .references = partials_.maxima.data() + partial + row,
                    .sums = partials_.sums.data() + partial + row,
                    .outputs = nullptr,
                    .output_stride_elements = 0,
                    .output_count = 0});
    }
  }

  // A hidden value that is not finite has spoilt the rows' sums, as 0 * NaN: those rows are summed
  // again without what is hidden from them.
  void RepairRows(int64_t group, const KeySpan& span, const FewRows& weights,
                  float* outputs) const {
    constexpr float kHidden = -1;  // no weight is negative
    const int64_t batch = BatchOf(group);
    const StreamedRows values = Stream(problem_.value, group, span);
    const MaskRows& masks = Masks(batch);
    for (int64_t row = 0; row < row_count_; ++row) {
      float* output = outputs + row * output_stride_;
      if (AllFinite(DataType::kF32, output, values.width)) continue;
      const ScoreRow score_row = RowOf(group, row);
      const Columns visible = ColumnsOf(call_.visibility.Keys(batch, score_row), span);
      float* weight_row = weights.data + row * weights.stride_elements;
      for (int64_t i = 0; i < span.count; ++i) {
        const bool in_range = i >= visible.begin && i < visible.end;
        if (!in_range || !masks.Visible(score_row, span.first + i)) weight_row[i] = kHidden;
      }
      SumStreamedRowsExcept(values, {weight_row, weights.stride_elements, 1}, kHidden,
                            {output, output_stride_, 1});
    }
  }

  // Of all rows, chunk by chunk, so that no more than a chunk's weights and mass are kept.
  void TakeStatistics(int64_t group, const SoftmaxState* states) const {
    thread_local RowStatistics statistics;
    statistics.Begin(call_, BatchOf(group), row_count_);
    std::array<float, kChunkKeys> weights;
    const int64_t key_count = problem_.key.extents[2];
    for (int64_t first = 0; first < key_count; first += kChunkKeys) {
      const KeySpan keys = {.first = first, .count = std::min(kChunkKeys, key_count - first)};
      statistics.BeginKeys(keys);
      for (int64_t row = 0; row < row_count_; ++row) {
        const float* scores = KeptScores(group, row) + first;
        const WeightSummary summary = states[row].Weigh({scores, keys.count}, true, weights.data());
        statistics.Take(row, RowOf(group, row),
                        {.keys = keys, .weights = weights.data(), .summary = summary});
      }
      statistics.EndKeys();
    }
    for (int64_t row = 0; row < row_count_; ++row) statistics.EndRow(row, RowOf(group, row));
  }

  // Adds up a group's chunks in order, each scaled from its own maximum to the common one.
  void Merge(int64_t group) {
    thread_local AlignedArray<float> merged;
    const absl::Cleanup release = [] { merged.ReleaseAbove(kKeptRowBytes); };
    const int64_t width = problem_.value.extents[3];
    merged.Reserve(static_cast<size_t>(width));
    RowOutputs outputs(call_, BatchOf(group), KeyValueHeadOf(group));
    std::array<SoftmaxState, kMaxRows> states;
    for (int64_t row = 0; row < row_count_; ++row) {
      const ScoreRow score_row = RowOf(group, row);
      const float exponent_scale = call_.form.ExponentScale(score_row.head);
      float maximum = kMinusInfinity;
      for (int64_t chunk = 0; chunk < chunk_count_; ++chunk) {
        maximum = std::max(maximum, partials_.maxima.data()[PartialRow(group, chunk) + row]);
      }
      double sum = 0;
      std::fill_n(merged.data(), width, 0.0f);
      for (int64_t chunk = 0; chunk < chunk_count_; ++chunk) {
        const int64_t partial = PartialRow(group, chunk) + row;
        const float chunk_maximum = partials_.maxima.data()[partial];
        // A chunk that saw nothing counts 0, but a NaN in its sum is kept.
        const float factor = chunk_maximum == kMinusInfinity
                                 ? 0.0f
                                 : std::exp2((chunk_maximum - maximum) * exponent_scale);
        sum += static_cast<double>(partials_.sums.data()[partial] * factor);
        const float* output = partials_.outputs.data() + partial * output_stride_;
        for (int64_t column = 0; column < width; ++column)
          merged.data()[column] += output[column] * factor;
      }
      SoftmaxState& state = states[static_cast<size_t>(row)];
      state = SoftmaxState(call_, score_row.head, maximum, static_cast<float>(sum));
      const ScaledRow finished = {.source = merged.data(),
                                  .factor = outputs.Finish(score_row, state, merged.data()),
                                  .destination = outputs.Address(score_row)};
      ScaleFromF32({&finished, 1}, width, problem_.query.type);
    }
    if (keeps_scores_) TakeStatistics(group, states.data());
  }

  const FusedCall& call_;
  const AttentionProblem& problem_;
  const int64_t group_size_;
  const int64_t row_count_;
  const int64_t chunk_count_;
  const int64_t output_stride_;
  const bool keeps_scores_;
  const Partials& partials_;
};

}  // namespace

bool IsDecode(const AttentionProblem& problem, const AttentionOptions& options,
              const AttentionOutputs& outputs) {
  const int64_t query_count = problem.query.extents[2];
  const int64_t group_size = problem.query.extents[1] / problem.key.extents[1];
  return query_count <= kMaxQueries && query_count * group_size <= MostRows(problem) &&
         options.scores == ScoresOutput::kNone && !outputs.weights.present();
}

double DecodeBytes(const AttentionProblem& problem, const AttentionOutputs& outputs) {
  const Extents& query = problem.query.extents;
  const double rows =
      static_cast<double>(query[0]) * static_cast<double>(query[1]) * static_cast<double>(query[2]);
  const auto partial_numbers = static_cast<double>(OutputStride(problem) + 2);  // maximum and sum
  double numbers = rows * static_cast<double>(ChunkCount(problem)) * partial_numbers;
  if (RowStatistics::NeedsWeights(outputs)) {
    numbers += rows * static_cast<double>(problem.key.extents[2]);
  }
  return numbers * sizeof(float);
}

int ComputeDecode(const FusedCall& call) {
  const Kept<Partials> partials;
  const absl::Cleanup release = [&] {
    if (partials->outputs.size() + partials->scores.size() > kKeptElements) *partials = Partials();
  };
  return DecodeCall(call, *partials).Run();
}

}  // namespace attention::kernels
